namespace NextPatch.Cpu.Tokenizer;

/// <summary>Vectors of length 1, as PyTorch's <c>normalize</c> makes them.</summary>
internal static class UnitVectors
{
    private const double Shortest = 1e-12;

    /// <param name="vectors">[N, W].</param>
    /// <param name="width">W.</param>
    public static void Norm(float[] vectors, int width)
    {
        for (var start = 0; start < vectors.Length; start += width)
        {
            var vector = vectors.AsSpan(start, width);
            var square = 0.0;
            foreach (var v in vector)
            {
                square += (double)v * v;
            }

            var length = (float)Math.Max(Math.Sqrt(square), Shortest);
            foreach (ref var v in vector)
            {
                v /= length;
            }
        }
    }
}
