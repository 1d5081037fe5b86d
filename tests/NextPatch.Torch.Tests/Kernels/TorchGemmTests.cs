using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;
using NextPatch.Torch.Gpt.Fused;
using NextPatch.Torch.Loading;
using TorchSharp;
using Bf16 = NextPatch.Kernels.Simd.Bf16;

namespace NextPatch.Torch.Tests.Kernels;

public sealed unsafe class TorchGemmTests
{
    public TorchGemmTests() => NativeBackend.EnsureLoaded(); // work is shared among as many threads as libtorch has

    public static TheoryData<int, int, int> Sizes => new()
    {
        { 1, 1, 1 }, { 12, 32, 256 }, { 13, 33, 257 }, { 11, 31, 255 }, { 100, 70, 300 }, { 5, 2100, 40 }, { 330, 64, 520 }, { 24, 2048, 512 },
        { 3, 3, 2000 }, { 3, 2100, 1030 }, { 4, 1100, 4097 },
    };

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Products_are_those_of_plain_sums(int rows, int columns, int depth) => Check<Fp32, Fp32>(rows, columns, depth);

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Products_of_bfloat16_are_those_of_plain_sums(int rows, int columns, int depth)
    {
        Assert.SkipUnless(TorchGemm.IsPreferredFor<Bf16>(), "needs an AMD processor with bf16 instructions and libtorch's brgemm");
        Check<Bf16, Fp32>(rows, columns, depth);
        Check<Bf16, Bf16>(rows, columns, depth);
    }

    [Fact]
    public void The_number_of_threads_changes_no_bit()
    {
        CheckThreads<Fp32>();
        Assert.SkipUnless(TorchGemm.IsPreferredFor<Bf16>(), "needs an AMD processor with bf16 instructions and libtorch's brgemm");
        CheckThreads<Bf16>();
    }

    private static void CheckThreads<T>()
        where T : unmanaged, IElement<T>
    {
        const int rows = 300, columns = 700, depth = 530;
        var (left, right) = (Numbers<T>(rows * depth, 1), Numbers<T>(depth * columns, 2));
        var (alone, together) = (new Fp32[rows * columns], new Fp32[rows * columns]);
        var threads = torch.get_num_threads();
        try
        {
            torch.set_num_threads(1);
            Multiply(rows, columns, depth, left, false, right, true, alone, columns, add: false);
            torch.set_num_threads(5);
            Multiply(rows, columns, depth, left, false, right, true, together, columns, add: false);
        }
        finally
        {
            torch.set_num_threads(threads);
        }

        Assert.Equal(alone, together);
    }

    private static void Check<T, TResult>(int rows, int columns, int depth)
        where T : unmanaged, IElement<T>
        where TResult : unmanaged, IElement<TResult>
    {
        var isRounded = typeof(TResult) == typeof(Bf16); // and then cannot be added to
        foreach (var (leftIsTransposed, rightIsTransposed, add) in new[] { (false, true, false), (false, false, true), (true, false, true),
            (true, true, false) })
        {
            var (left, right, result) = (Numbers<T>(rows * depth, 1), Numbers<T>(depth * columns, 2), Numbers<TResult>(rows * (columns + 3), 3));
            var (before, a, b) = (Floats(result), Floats(left), Floats(right));
            Multiply(rows, columns, depth, left, leftIsTransposed, right, rightIsTransposed, result, columns + 3, add && !isRounded);

            var after = Floats(result);
            for (var i = 0; i < rows; i++)
            {
                for (var j = 0; j < columns + 3; j++)
                {
                    var at = (i * (columns + 3)) + j;
                    if (j >= columns)
                    {
                        Assert.Equal(before[at], after[at]);
                        continue;
                    }

                    var sum = add && !isRounded ? before[at] : 0.0;
                    for (var k = 0; k < depth; k++)
                    {
                        sum += (double)a[leftIsTransposed ? (k * rows) + i : (i * depth) + k]
                            * b[rightIsTransposed ? (j * depth) + k : (k * columns) + j];
                    }

                    Assert.Equal(sum, after[at], (2e-6 * Math.Sqrt(depth)) + (isRounded ? Math.Abs(sum) / 256 : 0));
                }
            }
        }
    }

    private static void Multiply<T, TResult>(
        int rows, int columns, int depth, T[] left, bool leftIsTransposed, T[] right, bool rightIsTransposed, TResult[] result, int stride, bool add)
        where T : unmanaged, IElement<T>
        where TResult : unmanaged, IElement<TResult>
    {
        fixed (T* a = left, b = right)
        {
            fixed (TResult* c = result)
            {
                TorchGemm.Multiply(
                    leftIsTransposed ? new MatrixView<T>(a, depth, rows, rows).Transposed : new MatrixView<T>(a, rows, depth, depth),
                    rightIsTransposed ? new MatrixView<T>(b, columns, depth, depth).Transposed : new MatrixView<T>(b, depth, columns, columns),
                    new MatrixView<TResult>(c, rows, columns, stride),
                    add);
            }
        }
    }

    private static T[] Numbers<T>(int count, int seed)
        where T : unmanaged, IElement<T>
    {
        var random = new Random(seed);
        var numbers = new T[count];
        fixed (T* to = numbers)
        {
            for (var i = 0; i < count; i++)
            {
                T.Store(to + i, Simd1.Create((float)(random.NextDouble() - 0.5)));
            }
        }

        return numbers;
    }

    private static float[] Floats<T>(T[] numbers)
        where T : unmanaged, IElement<T>
    {
        var floats = new float[numbers.Length];
        fixed (T* from = numbers)
        {
            fixed (float* to = floats)
            {
                for (var i = 0; i < floats.Length; i++)
                {
                    Simd1.Store(to + i, T.Load<Simd1>(from + i));
                }
            }
        }

        return floats;
    }
}
