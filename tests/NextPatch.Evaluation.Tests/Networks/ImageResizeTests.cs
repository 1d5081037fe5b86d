using NextPatch.Evaluation.Networks;

namespace NextPatch.Evaluation.Tests.Networks;

public sealed class ImageResizeTests
{
    // Recorded from TensorFlow 1's rule in NumPy float32, Pillow 9.4 (mode F) and PyTorch 1.13.
    [Theory]
    [InlineData(ResizeProtocol.Adm, 9, 5, 7, new[] { 0f, 133.7143f, 203.4286f, 161.8571f, 150.1429f })]
    [InlineData(ResizeProtocol.Clean, 9, 5, 7, new[] { 0.5066754f, 181.9765f, 221.0096f, 174.3397f, 159.0436f })]
    [InlineData(ResizeProtocol.Legacy, 9, 5, 7, new[] { 5.285714f, 162.5714f, 212.7143f, 190.2857f, 175.7143f })]
    [InlineData(ResizeProtocol.Adm, 5, 23, 8, new[] { 0f, 136.5312f, 88.875f, 140.125f, 218.7344f })]
    [InlineData(ResizeProtocol.Clean, 5, 23, 8, new[] { 75.5503f, 109.6123f, 125.4776f, 117.9368f, 143.3799f })]
    [InlineData(ResizeProtocol.Legacy, 5, 23, 8, new[] { 85.3125f, 109.2305f, 184.4375f, 130.0352f, 96.41016f })]
    [InlineData(ResizeProtocol.Adm, 6, 6, 6, new[] { 0f, 30f, 153f, 47f, 73f })]
    [InlineData(ResizeProtocol.Clean, 6, 6, 6, new[] { 0f, 30f, 153f, 47f, 73f })]
    [InlineData(ResizeProtocol.Legacy, 6, 6, 6, new[] { 0f, 30f, 153f, 47f, 73f })]
    public void Equals_the_recorded_pixels(ResizeProtocol protocol, int height, int width, int side, float[] expected)
    {
        // Two images, so that the second shows that they do not mix.
        var pixels = new byte[2 * height * width * 3];
        for (var i = 0; i < height * width * 3; i++)
        {
            var (y, x, c) = (i / (width * 3), i / 3 % width, i % 3);
            pixels[(height * width * 3) + i] = (byte)((37 * y) + (91 * x) + (53 * c) + (y * x * 7));
        }

        var squares = ImageResize.ToSquares(pixels, height, width, side, protocol);
        Assert.All(squares[..(side * side * 3)], v => Assert.Equal(0, v));
        float At(int y, int x, int c) => squares[(side * side * 3) + (((y * side) + x) * 3) + c];
        float[] actual = [At(0, 0, 0), At(1, 2, 1), At(side - 1, side - 1, 2), At(side / 2, side - 2, 0), At(3, 1, 2)];
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], actual[i], 1e-4f);
        }
    }
}
