namespace NextPatch.Kernels.Elementwise;

/// <summary>A patch token as a sum of code embeddings: <paramref name="Scale"/> * sum_i Factors[i] e_i.</summary>
/// <param name="Factors">One per code of the patch, [P].</param>
/// <param name="Scale">Factor of the sum; apart, so that a mean is a sum and one product.</param>
internal sealed record PatchFactors(float[] Factors, float Scale)
{
    /// <summary>The codes that count, at least one.</summary>
    public int[] Members()
    {
        int[] members = [.. Enumerable.Range(0, Factors.Length).Where(i => Factors[i] != 0)];
        return members.Length > 0 ? members : [0];
    }
}
