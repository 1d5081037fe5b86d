using NextPatch.Core.Imaging;
using NextPatch.Data.Sources;

namespace NextPatch.Reconstruction;

/// <summary>Some images, and what a tokenizer makes of them.</summary>
/// <param name="Images">Where they come from, and their square crops.</param>
/// <param name="Originals">The crops, uint8 [n, S, S, 3].</param>
/// <param name="Codes">[n, T].</param>
/// <param name="Reconstructions">uint8 [n, S, S, 3].</param>
internal sealed record ReconstructedBatch(IReadOnlyList<StreamedImage<RgbImage>> Images, byte[] Originals, int[] Codes, byte[] Reconstructions)
{
    /// <summary>Bytes of image <paramref name="i"/> of an array of this batch.</summary>
    public ReadOnlySpan<byte> Of(byte[] pixels, int i)
    {
        var size = pixels.Length / Images.Count;
        return pixels.AsSpan(i * size, size);
    }
}
