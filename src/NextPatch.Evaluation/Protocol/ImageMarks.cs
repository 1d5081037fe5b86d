using System.IO.Hashing;
using System.Security.Cryptography;

namespace NextPatch.Evaluation.Protocol;

/// <summary>What is seen of images on their way to the network: their hash, whether any has a colour, how many are copies of another.</summary>
internal sealed class ImageMarks : IDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly HashSet<UInt128> _seen = [];

    /// <summary>Whether every pixel so far has R = G = B.</summary>
    public bool IsGrey { get; private set; } = true;

    /// <summary>Images that are equal to an earlier one, byte by byte.</summary>
    public int CopyCount { get; private set; }

    public void Add(ImageBatch batch)
    {
        _hash.AppendData(batch.Pixels);
        IsGrey = IsGrey && IsAllGrey(batch.Pixels);
        var size = batch.Height * batch.Width * 3;
        for (var i = 0; i < batch.Count; i++)
        {
            CopyCount += _seen.Add(XxHash128.HashToUInt128(batch.Pixels.AsSpan(i * size, size))) ? 0 : 1;
        }
    }

    /// <summary>SHA-256 of the pixels so far, in order.</summary>
    public string PixelsHash() => Convert.ToHexStringLower(_hash.GetCurrentHash());

    public void Dispose() => _hash.Dispose();

    /// <summary>Whether R = G = B in every pixel.</summary>
    public static bool IsAllGrey(ReadOnlySpan<byte> pixels)
    {
        for (var i = 0; i < pixels.Length; i += 3)
        {
            if (pixels[i] != pixels[i + 1] || pixels[i] != pixels[i + 2])
            {
                return false;
            }
        }

        return true;
    }
}
