namespace NextPatch;

/// <summary>How far a conversion is.</summary>
/// <param name="DoneBytes">Bytes of tensors that are written.</param>
/// <param name="TotalBytes">Bytes of all tensors.</param>
public readonly record struct WeightsConversionProgress(long DoneBytes, long TotalBytes);
