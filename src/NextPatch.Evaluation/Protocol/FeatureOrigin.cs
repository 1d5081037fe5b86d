using NextPatch.Evaluation.Networks;

namespace NextPatch.Evaluation.Protocol;

/// <summary>What two sets of features must agree in to be comparable.</summary>
/// <param name="Network">Name of the network.</param>
/// <param name="WeightsHash">SHA-256 of its weights, lower-case hexadecimal.</param>
/// <param name="Resize">How images came to the network's size: adm, clean, legacy; none where it takes them as they are.</param>
/// <param name="Height">Of the images, in pixels.</param>
/// <param name="Width">Of the images, in pixels.</param>
/// <param name="IsGrey">Whether no image has a colour; null where that is not known.</param>
internal sealed record FeatureOrigin(string Network, string WeightsHash, string Resize, int Height, int Width, bool? IsGrey)
{
    /// <summary>What sentences on differences advise to change.</summary>
    internal static readonly IReadOnlyList<string> Settings = ["Network", "Weights", "Resize", "ImageSize"];

    /// <summary>How a network's features of a set will come about.</summary>
    public static FeatureOrigin From(IFeatureNetwork network, ImageSet images) => From(network, images.Size);

    /// <summary>How a network's features of images of a size will come about.</summary>
    public static FeatureOrigin From(IFeatureNetwork network, (int Height, int Width) size)
        => new(network.Name, network.WeightsHash, network.Resize?.ToString().ToLowerInvariant() ?? "none", size.Height, size.Width, IsGrey: null);

    /// <summary>One sentence per difference that makes a comparison misleading.</summary>
    /// <param name="other">The reference's.</param>
    public IEnumerable<string> DifferencesFrom(FeatureOrigin other)
    {
        if (Network != other.Network)
        {
            yield return $"The reference statistics are features of {other.Network}, but Network is {Network}; choose that network, or a reference "
                + $"of images.";
        }
        else if (WeightsHash != other.WeightsHash)
        {
            yield return $"The reference statistics were made with other weights of {Network} ({Short(other.WeightsHash)}) than these "
                + $"({Short(WeightsHash)}); name the same file with Weights, or make the statistics again.";
        }

        if (Resize != other.Resize)
        {
            yield return $"The reference's images were resized by protocol '{other.Resize}' but the samples by '{Resize}'; say Resize "
                + $"{other.Resize}, or make the statistics again.";
        }

        if (Height != other.Height || Width != other.Width)
        {
            yield return $"The samples are {Width}x{Height} pixels but the reference's images {other.Width}x{other.Height}; bring both to one size "
                + $"(ImageSize crops images of a dataset).";
        }

        if (IsGrey is { } grey && other.IsGrey is { } otherGrey && grey != otherGrey)
        {
            yield return grey
                ? "Every sample is grey (one channel, or R = G = B) but the reference has colours; convert the samples, or name a grey reference."
                : "Every reference image is grey (one channel, or R = G = B) but the samples have colours; name another reference.";
        }
    }

    private static string Short(string hash) => hash[..Math.Min(12, hash.Length)];
}
