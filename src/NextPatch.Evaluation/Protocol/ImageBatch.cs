namespace NextPatch.Evaluation.Protocol;

/// <summary>Some images of one size.</summary>
/// <param name="Count">N.</param>
/// <param name="Height">In pixels.</param>
/// <param name="Width">In pixels.</param>
/// <param name="Pixels">RGB uint8 [N, Height, Width, 3].</param>
public sealed record ImageBatch(int Count, int Height, int Width, byte[] Pixels);
