using NextPatch.Core.Configuration;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt;

/// <summary>Draws the initial weights of a <see cref="GptModel"/>.</summary>
internal static class GptInitializer
{
    private const double NarrowEmbeddingDeviation = 0.1;

    /// <summary>Norms one, output head zero, everything else normal; see <see cref="WeightInitialization"/>. Unconditional features too.</summary>
    /// <param name="model">Its weights are overwritten.</param>
    /// <param name="seed">Equal seeds give equal weights.</param>
    public static void Initialize(GptModel model, ulong seed)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(seed);
        foreach (var (name, parameter) in model.named_parameters())
        {
            if (parameter.dim() == 1)
            {
                parameter.fill_(1);
            }
            else if (name == "output.weight")
            {
                parameter.zero_();
            }
            else
            {
                parameter.normal_(0, Deviation(model.Config, name, parameter.size(1)), generator);
            }
        }

        // Frozen, and drawn as published: normal(0, 1 / sqrt(numbers per token)).
        foreach (var (_, buffer) in model.named_buffers())
        {
            buffer.normal_(0, 1 / Math.Sqrt(buffer.size(1)), generator);
        }
    }

    private static double Deviation(GptConfig config, string name, long fanIn)
    {
        if (config.Initialization == WeightInitialization.Published)
        {
            return config.InitializerRange;
        }

        if (name.Contains("embed", StringComparison.Ordinal) && !name.Contains("cap_proj", StringComparison.Ordinal))
        {
            return NarrowEmbeddingDeviation;
        }

        var isResidualOutput = name.EndsWith("wo.weight", StringComparison.Ordinal) || name.EndsWith("w2.weight", StringComparison.Ordinal);
        return 1 / Math.Sqrt(fanIn) / (isResidualOutput ? Math.Sqrt(2.0 * config.LayerCount) : 1);
    }
}
