namespace NextPatch.Kernels.Attention;

/// <summary>The angles of two-dimensional rotary positions, as the published <c>precompute_freqs_cis_2d</c>.</summary>
internal static class RotaryTable
{
    /// <summary>Cosines and sines, [K + g*g, D/2, 2]; zeros for the condition tokens.</summary>
    /// <param name="gridSide">g.</param>
    /// <param name="headWidth">D, a multiple of 4.</param>
    /// <param name="conditionTokens">K leading tokens without a position.</param>
    /// <param name="frequencyBase">Base of the frequencies, 10000.</param>
    /// <param name="first">Position of the first row and column; published 0.</param>
    /// <param name="spacing">Distance of neighbours; published 1.</param>
    public static float[] Create(
        int gridSide, int headWidth, int conditionTokens, double frequencyBase, float first = 0, float spacing = 1)
    {
        var half = headWidth / 2;
        var pairs = half / 2;
        var frequencies = new float[pairs];
        for (var i = 0; i < pairs; i++)
        {
            frequencies[i] = 1f / MathF.Pow((float)frequencyBase, 2f * i / half);
        }

        var table = new float[(conditionTokens + (gridSide * gridSide)) * half * 2];
        for (var position = 0; position < gridSide * gridSide; position++)
        {
            var row = (conditionTokens + position) * half * 2;
            for (var i = 0; i < half; i++)
            {
                var coordinate = i < pairs ? position / gridSide : position % gridSide;
                var (sine, cosine) = MathF.SinCos(((coordinate * spacing) + first) * frequencies[i % pairs]);
                table[row + (2 * i)] = cosine;
                table[row + (2 * i) + 1] = sine;
            }
        }

        return table;
    }
}
