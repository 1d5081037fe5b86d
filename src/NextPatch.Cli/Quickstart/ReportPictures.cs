using NextPatch.Data.Sources;

namespace NextPatch.Cli.Quickstart;

/// <summary>The images that a report shows.</summary>
/// <param name="Data">Real images.</param>
/// <param name="Reconstructions">Reconstructions of the held-out images, uint8 [N, S, S, 3].</param>
/// <param name="Samples">Generated images with their requested labels.</param>
/// <param name="Judged">What the classifier sees in each sample.</param>
internal sealed record ReportPictures(DatasetSplit Data, byte[] Reconstructions, ImageDataset Samples, IReadOnlyList<int> Judged);
