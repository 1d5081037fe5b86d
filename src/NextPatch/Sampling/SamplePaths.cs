namespace NextPatch.Sampling;

/// <summary>Where a set of samples goes.</summary>
/// <param name="Images">Folder of the numbered PNG files.</param>
/// <param name="Grid">The sheet of the first images.</param>
/// <param name="Archive">samples.npz, or the codes where there is no tokenizer.</param>
/// <param name="Description">samples.json.</param>
/// <param name="HasPublishedGrid">The sheet is laid out as the published sampler does, without class names.</param>
internal sealed record SamplePaths(string Images, string Grid, string Archive, string Description, bool HasPublishedGrid = false)
{
    /// <summary>Everything in one folder.</summary>
    /// <param name="folder">Takes grid.png, samples.npz (codes.npz) and samples.json.</param>
    /// <param name="images">Takes the PNG files; null: the same folder.</param>
    /// <param name="hasImages">Whether there is a tokenizer.</param>
    public static SamplePaths In(string folder, string? images, bool hasImages)
        => new(images ?? folder, Path.Combine(folder, "grid.png"), Path.Combine(folder, hasImages ? "samples.npz" : "codes.npz"),
            Path.Combine(folder, "samples.json"));

    /// <summary>As the published samplers lay it out: a folder of images, and beside it files of the same name.</summary>
    public static SamplePaths Published(string folder, string name)
    {
        var path = Path.Combine(folder, name);
        return new(path, path + ".png", path + ".npz", path + ".json", HasPublishedGrid: true);
    }
}
