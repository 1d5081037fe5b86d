using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;

namespace NextPatch.Models;

/// <summary>Opens tokenizers as a person names them, a folder or a file of weights, at the size that is wanted.</summary>
internal static class TokenizerSource
{
    /// <param name="backend">Computes.</param>
    /// <param name="path">A folder with config.json, or a weights file of a published tokenizer; of a training checkpoint the EMA is
    /// taken.</param>
    /// <param name="gridSide">Codes per side, where codes are given instead of images; null: as the images.</param>
    /// <param name="imageSize">Pixels per side that are wanted; null: as configured, for a file 256.</param>
    /// <param name="precision">Arithmetic of the encoder.</param>
    /// <param name="encodingBatch">Images per call of the encoder; null = what suits the tokenizer.</param>
    /// <exception cref="ConfigException">The size does not fit the tokenizer.</exception>
    /// <exception cref="NextPatchException">A file is missing or damaged, or the weights do not fit the configuration.</exception>
    public static IImageTokenizer Open(
        IComputeBackend backend, string path, int? gridSide = null, int? imageSize = null, ComputePrecision precision = ComputePrecision.Fp32,
        int? encodingBatch = null)
    {
        using var weights = WeightsFile.Open(path);
        var config = TokenizerInference.Read(path, weights, gridSide);
        if (imageSize is { } side && side != config.ImageSide)
        {
            var isFree = config.Architecture == TokenizerArchitecture.Vqgan && gridSide is null;
            config = isFree && side > 0 && side % config.DownsamplingFactor == 0
                ? config with { ImageSide = side }
                : throw new ConfigException(
                    $"ImageSize {side} does not fit the tokenizer in '{path}', which "
                        + (isFree ? $"needs a multiple of {config.DownsamplingFactor}." : $"takes images of {config.ImageSide}x{config.ImageSide}."))
                { Settings = ["ImageSize"] };
        }

        return backend.OpenTokenizer(config, weights, precision, encodingBatch);
    }
}
