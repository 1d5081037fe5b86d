using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Tensors;


namespace NextPatch.Evaluation.Tests.Networks;

/// <summary>Weights of networks by a formula.</summary>
internal static class FormulaNetworks
{
    /// <param name="blocks">Blocks per stage: depth 6 n + 2.</param>
    public static Dictionary<string, StoredTensor> ResNet(int blocks)
    {
        var tensors = new Dictionary<string, StoredTensor>();
        void Add(string convolution, string norm, int inputs, int outputs)
        {
            tensors[$"{convolution}.weight"] = FormulaTensors.Convolution($"{convolution}.weight", outputs, inputs, 3, 3);
            Norm(tensors, norm, outputs);
        }

        Add("conv1", "bn1", 3, 16);
        var channels = 16;
        for (var stage = 0; stage < 3; stage++)
        {
            for (var block = 0; block < blocks; block++)
            {
                Add($"layer{stage + 1}.{block}.conv1", $"layer{stage + 1}.{block}.bn1", channels, 16 << stage);
                channels = 16 << stage;
                Add($"layer{stage + 1}.{block}.conv2", $"layer{stage + 1}.{block}.bn2", channels, channels);
            }
        }

        tensors["linear.weight"] = FormulaTensors.Make("linear.weight", 0.3f, 0, 10, 64);
        tensors["linear.bias"] = FormulaTensors.Make("linear.bias", 0.1f, 0, 10);
        return tensors;
    }

    /// <param name="channels">Of the first layer: 8 for width 0.25.</param>
    public static Dictionary<string, StoredTensor> MobileNet(int channels)
    {
        var tensors = new Dictionary<string, StoredTensor>();
        void Add(string key, params long[] shape)
        {
            tensors[$"{key}.weight"] = FormulaTensors.Convolution($"{key}.weight", shape);
            tensors[$"{key}.bias"] = FormulaTensors.Make($"{key}.bias", 0.2f, 0.1f, shape[0]);
        }

        Add("conv0", channels, 3, 3, 3);
        for (var block = 1; block <= 13; block++)
        {
            Add($"block{block}.dw", channels, 1, 3, 3);
            var outputs = block is 1 or 2 or 4 or 6 or 12 ? 2 * channels : channels;
            Add($"block{block}.pw", outputs, channels, 1, 1);
            channels = outputs;
        }

        Add("logits", 1001, channels, 1, 1);
        return tensors;
    }

    public static void Save(string path, IReadOnlyDictionary<string, StoredTensor> tensors) => SafetensorsFile.Write(path, tensors);

    private static void Norm(Dictionary<string, StoredTensor> tensors, string key, int channels)
    {
        foreach (var (name, scale, offset) in new[] { ("weight", 0.125f, 0.8f), ("bias", 0.125f, 0f), ("running_mean", 0.125f, 0f),
            ("running_var", 0.4f, 1f) })
        {
            tensors[$"{key}.{name}"] = FormulaTensors.Make($"{key}.{name}", scale, offset, channels);
        }
    }
}
