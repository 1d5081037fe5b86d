using System.Globalization;
using NextPatch.Core.Checkpoints;

namespace NextPatch.Core.Configuration;

/// <summary>Reads the configuration of a published VQ tokenizer off the names and shapes of its weights.</summary>
/// <remarks>That codes are compared on the unit sphere leaves no trace; the published tokenizers all do.</remarks>
internal static class TokenizerInference
{
    private const string Codebook = "quantize.embedding.weight";
    private const string EncoderInput = "encoder.conv_in.weight";
    private const string EncoderOutput = "encoder.conv_out.weight";

    private const string ConfigFile = "config.json";

    /// <summary>The configuration beside the weights, or, of a file in the published layout, the one that its shapes tell.</summary>
    /// <param name="path">A folder with config.json, or a file of weights.</param>
    /// <param name="weights">What is open of it.</param>
    /// <param name="gridSide">Codes per side that are wanted: a VQGAN takes images of any size. Null: as configured, for a file 256 pixels.</param>
    /// <exception cref="NextPatchException">The configuration is missing or damaged, or these are not the weights of a tokenizer.</exception>
    public static TokenizerConfig Read(string path, WeightsFile weights, int? gridSide = null)
    {
        var config = Directory.Exists(path) ? ConfigJson.Read(Path.Combine(path, ConfigFile), ConfigJson.Default.TokenizerConfig) : Infer(weights);
        return config.Architecture == TokenizerArchitecture.Vqgan ? config with
        {
            ImageSide = (gridSide ?? config.GridSide) * config.DownsamplingFactor,
        } : config;
    }

    /// <param name="weights">By the published state keys.</param>
    /// <param name="imageSide">Side of the images in pixels; the network itself takes any multiple of the downsampling factor.</param>
    /// <exception cref="ConfigException">Not the weights of such a tokenizer.</exception>
    public static TokenizerConfig Infer(WeightsFile weights, int imageSide = 256)
    {
        var shapes = weights.Tensors.ToDictionary(p => p.Key, p => p.Value.Shape);
        var levels = Count(shapes, level => FirstConvolution(level, 0));
        if (levels == 0 || shapes.GetValueOrDefault(Codebook) is not [var codes, var width]
            || shapes.GetValueOrDefault(EncoderInput) is not [var baseWidth, ..] || shapes.GetValueOrDefault(EncoderOutput) is not [var latents, ..])
        {
            throw new ConfigException($"'{weights.Path}' does not hold a published VQ tokenizer: it needs tensors like {EncoderInput}, "
                + $"{FirstConvolution(0, 0)}, {EncoderOutput} and {Codebook}.");
        }

        int[] channels = [.. Enumerable.Range(0, levels).Select(level => checked((int)shapes[FirstConvolution(level, 0)][0]))];

        var config = new TokenizerConfig
        {
            Architecture = TokenizerArchitecture.Vqgan,
            ImageSide = imageSide,
            DownsamplingFactor = 1 << (levels - 1),
            CodebookSize = checked((int)codes),
            CodeWidth = checked((int)width),
            Channels = channels,
            BaseChannels = baseWidth == channels[0] ? null : checked((int)baseWidth),
            BlockCounts = [.. Enumerable.Range(0, levels).Select(level => Count(shapes, block => FirstConvolution(level, block)))],
            LatentChannels = checked((int)latents),
        };
        config.Validate();
        return config;
    }

    private static string FirstConvolution(int level, int block)
        => string.Create(CultureInfo.InvariantCulture, $"encoder.conv_blocks.{level}.res.{block}.conv1.weight");

    private static int Count(Dictionary<string, IReadOnlyList<long>> shapes, Func<int, string> name)
        => Enumerable.Range(0, shapes.Count).TakeWhile(i => shapes.ContainsKey(name(i))).Count();
}
