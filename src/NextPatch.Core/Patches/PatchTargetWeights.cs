namespace NextPatch.Core.Patches;

/// <summary>
/// How much each code of a patch counts as a target: w_i = (i + 1)^-A for the codes i = 0 .. P - 1 of the patch, row by row. In the loss
/// they are divided by their sum: logsumexp(z) - sum_i w_i z[t_i] / sum_i w_i. A = 0 is the published loss, in which all count the same.
/// </summary>
public static class PatchTargetWeights
{
    /// <summary>The weights of P codes, not divided by their sum; ones for A = 0.</summary>
    /// <param name="codesPerPatch">P.</param>
    /// <param name="power">A; with more than 0 the first codes count more.</param>
    public static float[] Create(int codesPerPatch, double power)
        => [.. Enumerable.Range(1, codesPerPatch).Select(i => (float)Math.Pow(i, -power))];
}
