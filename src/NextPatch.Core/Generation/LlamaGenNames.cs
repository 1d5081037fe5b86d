using System.Globalization;
using NextPatch.Core.Sampling;

namespace NextPatch.Core.Generation;

/// <summary>How the published samplers call what they write (<c>sample_c2i_ddp.py</c>).</summary>
internal static class LlamaGenNames
{
    /// <summary>Name of the folder of images, and of the archive beside it.</summary>
    /// <param name="model">The published name of the model's shape: GPT-B.</param>
    /// <param name="checkpoint">What <see cref="ForCheckpoint"/> gives.</param>
    /// <param name="imageSize">Side at which images are drawn.</param>
    /// <param name="evaluationSize">Side at which they are written.</param>
    /// <param name="tokenizer">VQ-16 or VQ-8.</param>
    /// <param name="sampling">Top-k, top-p, temperature and guidance scale are part of the name.</param>
    /// <param name="seed">So is the seed.</param>
    public static string ForFolder(
        string model, string checkpoint, int imageSize, int evaluationSize, string tokenizer, SamplingConfig sampling, ulong seed)
        => $"{model}-{checkpoint}-size-{imageSize}-size-{evaluationSize}-{tokenizer}"
            + $"-topk-{sampling.TopK}-topp-{Python(sampling.TopP)}"
            + $"-temperature-{Python(sampling.Temperature)}-cfg-{Python(sampling.GuidanceScale)}-seed-{seed}";

    /// <summary>What stands for a checkpoint in names.</summary>
    /// <param name="path">A file; of one named <c>consolidated.pth</c> the folder counts, as with the published <c>--from-fsdp</c>.</param>
    public static string ForCheckpoint(string path)
    {
        var name = Path.GetFileName(path);
        return name == "consolidated.pth" && Path.GetFileName(Path.GetDirectoryName(path)) is { Length: > 0 } folder
            ? folder
            : name.Replace(".pth", "", StringComparison.Ordinal).Replace(".pt", "", StringComparison.Ordinal);
    }

    /// <summary>A number below 1e15, as settings are, as Python prints it: 1.0, 0.95, 1e-05.</summary>
    internal static string Python(double value)
    {
        var text = value.ToString("R", CultureInfo.InvariantCulture);
        return text.Contains('E', StringComparison.Ordinal)
            ? text.ToLowerInvariant()
            : text.Contains('.', StringComparison.Ordinal)
            ? text
            : text + ".0";
    }
}
