using NextPatch.Torch.Kernels;
using NextPatch.Torch.Loading;
using TorchSharp;

namespace NextPatch.Torch.Tests.Kernels;

public sealed unsafe class MatrixProductTests
{
    public MatrixProductTests() => NativeBackend.EnsureLoaded(); // work is shared among as many threads as libtorch has

    public static TheoryData<int, int, int> Sizes => new()
    {
        { 1, 1, 1 }, { 12, 32, 256 }, { 13, 33, 257 }, { 11, 31, 255 }, { 100, 70, 300 }, { 5, 2100, 40 }, { 330, 64, 520 }, { 24, 2048, 512 }, { 3, 3, 2000 },
    };

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Products_are_those_of_plain_sums(int rows, int columns, int depth)
    {
        foreach (var (leftIsTransposed, rightIsTransposed, add) in new[] { (false, true, false), (false, false, true), (true, false, true), (true, true, false) })
        {
            var (left, right, result) = (Numbers(rows * depth, 1), Numbers(depth * columns, 2), Numbers(rows * (columns + 3), 3));
            var expected = new double[rows, columns];
            for (var i = 0; i < rows; i++)
            {
                for (var j = 0; j < columns; j++)
                {
                    var sum = add ? result[(i * (columns + 3)) + j] : 0.0;
                    for (var k = 0; k < depth; k++)
                    {
                        sum += (double)left[leftIsTransposed ? (k * rows) + i : (i * depth) + k] * right[rightIsTransposed ? (j * depth) + k : (k * columns) + j];
                    }

                    expected[i, j] = sum;
                }
            }

            var behind = Enumerable.Range(0, rows).SelectMany(i => Enumerable.Range(columns, 3).Select(j => (i * (columns + 3)) + j)).ToDictionary(at => at, at => result[at]);
            Multiply(rows, columns, depth, left, leftIsTransposed, right, rightIsTransposed, result, columns + 3, add);

            for (var i = 0; i < rows; i++)
            {
                for (var j = 0; j < columns; j++)
                {
                    Assert.Equal(expected[i, j], result[(i * (columns + 3)) + j], 2e-6 * Math.Sqrt(depth));
                }
            }

            Assert.All(behind, pair => Assert.Equal(pair.Value, result[pair.Key]));
        }
    }

    [Fact]
    public void The_number_of_threads_changes_no_bit()
    {
        const int rows = 300, columns = 700, depth = 530;
        var (left, right) = (Numbers(rows * depth, 1), Numbers(depth * columns, 2));
        var (alone, together) = (new float[rows * columns], new float[rows * columns]);
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

    private static void Multiply(int rows, int columns, int depth, float[] left, bool leftIsTransposed, float[] right, bool rightIsTransposed, float[] result, int stride, bool add)
    {
        fixed (float* a = left, b = right, c = result)
        {
            MatrixProduct.Multiply(
                leftIsTransposed ? new MatrixView<Single32>((Single32*)a, depth, rows, rows).Transposed : new MatrixView<Single32>((Single32*)a, rows, depth, depth),
                rightIsTransposed ? new MatrixView<Single32>((Single32*)b, columns, depth, depth).Transposed : new MatrixView<Single32>((Single32*)b, depth, columns, columns),
                new MatrixView<Single32>((Single32*)c, rows, columns, stride),
                add);
        }
    }

    private static float[] Numbers(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() - 0.5))];
    }
}
