namespace NextPatch.Core.Patches;

/// <summary>
/// How a g x g grid of codes (row-major) divides into p x p patches: patches are numbered row by row, members of a patch row by
/// row inside it (NPP, section "Patch grouping").
/// </summary>
/// <remarks>A grid that p does not divide is refused; the published code drops the border silently.</remarks>
public sealed record PatchGeometry
{
    /// <param name="gridSide">Side g of the grid, in codes.</param>
    /// <param name="patchSide">Side p of a patch, in codes.</param>
    /// <exception cref="ConfigException">p does not divide g.</exception>
    public PatchGeometry(int gridSide, int patchSide)
    {
        if (gridSide < 1 || patchSide < 1 || gridSide % patchSide != 0)
        {
            var divisors = string.Join(", ", Enumerable.Range(1, Math.Max(gridSide, 1)).Where(d => gridSide % d == 0));
            throw new ConfigException(
                $"A grid of {gridSide}x{gridSide} codes cannot be divided into {patchSide}x{patchSide} patches. Patch sides that fit: {divisors}.");
        }

        GridSide = gridSide;
        PatchSide = patchSide;
    }

    /// <summary>Side g of the grid, in codes.</summary>
    public int GridSide { get; }

    /// <summary>Side p of a patch, in codes.</summary>
    public int PatchSide { get; }

    /// <summary>Side of the grid of patches, g / p.</summary>
    public int PatchesPerSide => GridSide / PatchSide;

    /// <summary>Patches per image, (g / p)^2: the length of the training sequence.</summary>
    public int PatchCount => PatchesPerSide * PatchesPerSide;

    /// <summary>Codes per patch, P = p^2 (<c>patch_size</c> in the published code).</summary>
    public int CodesPerPatch => PatchSide * PatchSide;

    /// <summary>Row-major position in the grid of a patch's member.</summary>
    public int CodeIndex(int patch, int member)
    {
        var row = ((patch / PatchesPerSide) * PatchSide) + (member / PatchSide);
        var column = ((patch % PatchesPerSide) * PatchSide) + (member % PatchSide);
        return (row * GridSide) + column;
    }
}
