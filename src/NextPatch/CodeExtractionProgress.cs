namespace NextPatch;

/// <summary>How far an extraction is.</summary>
/// <param name="Done">Images of the dataset that are behind it, those of an earlier run and those left out included.</param>
/// <param name="Total">Images of the dataset.</param>
/// <param name="ImagesPerSecond">Images stored per second in this run.</param>
/// <param name="SecondsLeft">Estimate; null where there is none yet.</param>
public sealed record CodeExtractionProgress(int Done, int Total, double ImagesPerSecond, double? SecondsLeft);
