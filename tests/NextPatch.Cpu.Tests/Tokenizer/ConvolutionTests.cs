using NextPatch.Core.Tensors;
using NextPatch.Cpu.Tests.Kernels;
using NextPatch.Cpu.Tokenizer;
using NextPatch.Kernels.Convolutions;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Cpu.Tests.Tokenizer;

public sealed class ConvolutionTests
{
    [Theory]
    [InlineData(8, 8, 16, 16, false)]
    [InlineData(7, 9, 32, 3, false)] // tiles over the edge, few channels out
    [InlineData(5, 70, 16, 80, false)] // several segments, several units
    [InlineData(6, 5, 16, 64, true)]
    public void Winograd_is_the_convolution(int height, int width, int inputs, int outputs, bool isUpsampling)
    {
        var (weight, bias, image) = (Values(outputs * inputs * 9, 0.1), Values(outputs, 1), Values(height * width * inputs, 1));
        var kernel = StoredTensor.From(HostTensor.FromSingles([outputs, inputs, 3, 3], weight));
        var scale = isUpsampling ? 2 : 1;
        var expected = Plain(
            weight, bias, (y, x, c) => image[((((y / scale) * width) + (x / scale)) * inputs) + c], scale * height, scale * width, inputs);
        using var small = new WinogradConvolution<WinogradTile2>(kernel, HostTensor.FromSingles([outputs], bias), isUpsampling);
        using var large = new WinogradConvolution<WinogradTile4>(kernel, HostTensor.FromSingles([outputs], bias), isUpsampling);
        Widths.AssertClose(expected, Widths.AssertSame(new Computation(small, height, width, image)), 1e-5);
        Widths.AssertClose(expected, Widths.AssertSame(new Computation(large, height, width, image)), 1e-5);
    }

    [Theory]
    [InlineData(3, -1, 1)]
    [InlineData(4, -1, 2)]
    [InlineData(3, 0, 2)]
    public void Windows_of_any_stride_are_the_convolution(int side, int first, int stride)
    {
        const int Height = 6, Width = 8, Inputs = 5, Outputs = 70;
        var (weight, bias, image) = (Values(Outputs * Inputs * side * side, 0.1), Values(Outputs, 1), Values(Height * Width * Inputs, 1));
        var expected = new List<float>();
        for (var y = 0; y < Height; y += stride)
        {
            for (var x = 0; x < Width; x += stride)
            {
                for (var o = 0; o < Outputs; o++)
                {
                    double sum = bias[o];
                    for (var tap = 0; tap < side * side; tap++)
                    {
                        var (fromY, fromX) = (y + first + (tap / side), x + first + (tap % side));
                        for (var i = 0; fromY is >= 0 and < Height && fromX is >= 0 and < Width && i < Inputs; i++)
                        {
                            sum += weight[(((o * Inputs) + i) * side * side) + tap] * image[(((fromY * Width) + fromX) * Inputs) + i];
                        }
                    }

                    expected.Add((float)sum);
                }
            }
        }

        using var convolution = Convolution.Create(
            StoredTensor.From(HostTensor.FromSingles([Outputs, Inputs, side, side], weight)), HostTensor.FromSingles([Outputs], bias), first, stride);
        Widths.AssertClose(expected, Widths.AssertSame(new Computation(convolution, Height, Width, image)), 1e-5);
    }

    private static float[] Values(int count, double size)
        => [.. Enumerable.Range(0, count).Select(i => (float)(size * Math.Sin((i * 12.9898) + (i % 7))))];

    private static List<float> Plain(float[] weight, float[] bias, Func<int, int, int, float> pixel, int height, int width, int inputs)
    {
        var result = new List<float>();
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
            {
                for (var o = 0; o < bias.Length; o++)
                {
                    double sum = bias[o];
                    for (var tap = 0; tap < 9; tap++)
                    {
                        var (fromY, fromX) = (y - 1 + (tap / 3), x - 1 + (tap % 3));
                        for (var i = 0; fromY >= 0 && fromY < height && fromX >= 0 && fromX < width && i < inputs; i++)
                        {
                            sum += weight[(((o * inputs) + i) * 9) + tap] * pixel(fromY, fromX, i);
                        }
                    }

                    result.Add((float)sum);
                }
            }
        }

        return result;
    }

    private sealed unsafe class Computation(IConvolution convolution, int height, int width, float[] image) : IComputation
    {
        public float[] Run<L>()
            where L : unmanaged, ISimd<L>
        {
            using var team = new ThreadTeam(2);
            using var maps = new TokenizerMaps();
            var channels = image.Length / height / width;
            maps.Current.Shape(height, width, channels);
            for (var y = 0; y < height; y++)
            {
                image.AsSpan(y * width * channels, width * channels).CopyTo(new Span<float>(maps.Current.At(y, 0), width * channels));
            }

            convolution.Run<L>(team, maps, maps.Current, null, maps.Next);
            var result = new List<float>();
            for (var y = 0; y < maps.Next.Height; y++)
            {
                result.AddRange(new ReadOnlySpan<float>(maps.Next.At(y, 0), maps.Next.Width * maps.Next.Channels).ToArray());
            }

            return [.. result];
        }
    }
}
