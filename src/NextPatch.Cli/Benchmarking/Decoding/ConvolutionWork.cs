using System.Globalization;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;

namespace NextPatch.Cli.Benchmarking.Decoding;

/// <summary>Multiply-adds of a published tokenizer's convolutions as they are written, counted from its weights.</summary>
internal static class ConvolutionWork
{
    /// <param name="tensors">Weights by state key.</param>
    /// <param name="config">A VQGAN.</param>
    /// <param name="part">encoder or decoder.</param>
    public static double MultiplyAdds(IReadOnlyDictionary<string, StoredTensor> tensors, TokenizerConfig config, string part)
        => tensors.Where(t => t.Value.Shape.Count == 4 && t.Key.StartsWith(part + ".", StringComparison.Ordinal))
            .Sum(t => (double)t.Value.Count * Math.Pow(Side(t.Key, config, part == "encoder"), 2));

    /// <summary>Pixels per side that a convolution makes.</summary>
    private static int Side(string name, TokenizerConfig config, bool isEncoder)
    {
        var words = name.Split('.');
        return words[1] switch
        {
            "conv_in" => isEncoder ? config.ImageSide : config.GridSide,
            "conv_out" => isEncoder ? config.GridSide : config.ImageSide,
            "conv_blocks" when int.Parse(words[2], CultureInfo.InvariantCulture) is var level => isEncoder
                ? config.ImageSide >> (words[3] == "downsample" ? level + 1 : level)
                : config.GridSide << (words[3] == "upsample" ? level + 1 : level),
            _ => config.GridSide,
        };
    }
}
