using System.IO.Hashing;
using System.Text;
using System.Text.Json;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;

namespace NextPatch.Cli.Benchmarking;

/// <summary>
/// Weights of a published size whose values come from a formula, in the layout of the published files: models of any size without a download.
/// </summary>
internal static class FormulaWeights
{
    private const float Range = 0.035f; // of a uniform distribution whose deviation is 0.02

    /// <summary>State keys and shapes of LlamaGen.</summary>
    public static List<KeyValuePair<string, StoredTensor>> Create(GptConfig config, ElementType type)
    {
        var state = new List<KeyValuePair<string, StoredTensor>>();
        void Add(string name, params long[] shape) => state.Add(KeyValuePair.Create(name, Tensor(name, shape).As(type)));
        if (config.Text is { } text)
        {
            Add("cls_embedding.cap_proj.fc1.weight", config.Width, text.FeatureWidth);
            Add("cls_embedding.cap_proj.fc2.weight", config.Width, config.Width);
            Add("cls_embedding.uncond_embedding", text.TokenCount, text.FeatureWidth);
        }
        else
        {
            Add("cls_embedding.embedding_table.weight", config.ClassRows, config.Width);
        }

        Add("tok_embeddings.weight", config.VocabularySize, config.Width);
        for (var i = 0; i < config.LayerCount; i++)
        {
            Add($"layers.{i}.attention.wqkv.weight", config.QkvWidth, config.Width);
            Add($"layers.{i}.attention.wo.weight", config.Width, config.Width);
            Add($"layers.{i}.feed_forward.w1.weight", config.FfnWidth, config.Width);
            Add($"layers.{i}.feed_forward.w3.weight", config.FfnWidth, config.Width);
            Add($"layers.{i}.feed_forward.w2.weight", config.Width, config.FfnWidth);
            Add($"layers.{i}.attention_norm.weight", config.Width);
            Add($"layers.{i}.ffn_norm.weight", config.Width);
        }

        Add("norm.weight", config.Width);
        Add("output.weight", config.VocabularySize, config.Width);
        return state;
    }

    /// <summary>Writes a preset as the published code saves it: weights, step and settings.</summary>
    public static void Write(string path, string preset, ElementType type) => PyTorchFile.Write(path, new Dictionary<object, object?>
    {
        ["model"] = Create(GptPresets.Get(preset), type),
        ["steps"] = 1000L,
        ["args"] = new Dictionary<object, object?>
        {
            ["gpt_model"] = $"GPT-{preset}", ["image_size"] = 256L, ["downsample_size"] = 16L, ["num_classes"] = 1000L,
        },
    });

    /// <summary>Writes a model of 256x256 pixels into a folder, its weights as <c>quantize</c> stores them.</summary>
    public static void WriteInt8(string folder, GptConfig config)
    {
        Directory.CreateDirectory(folder);
        var (tensors, metadata) = WeightsQuantizer.Store(
            Create(config, ElementType.Float32).ToDictionary(p => p.Key, p => p.Value), ComputePrecision.Int8);
        SafetensorsFile.Write(Path.Combine(folder, "model.safetensors"), tensors, metadata);
        var described = new CheckpointConfig { Model = config, ImageSide = TokenizerPresets.Get("VQ-16").ImageSide };
        File.WriteAllText(Path.Combine(folder, "config.json"), JsonSerializer.Serialize(described, ConfigJson.Default.CheckpointConfig));
    }

    /// <summary>Ones for norms; else uniform noise, a hash of (name, index).</summary>
    private static StoredTensor Tensor(string name, long[] shape)
    {
        var seed = XxHash64.HashToUInt64(Encoding.UTF8.GetBytes(name));
        return StoredTensor.Generate(shape, (first, values) =>
        {
            if (shape.Length == 1)
            {
                values.Fill(1);
                return;
            }

            for (var i = 0; i < values.Length; i++)
            {
                values[i] = ((Mix(seed + (ulong)(first + i)) >> 40) * (2 * Range / (1 << 24))) - Range;
            }
        });
    }

    /// <summary>The finaliser of SplitMix64.</summary>
    private static ulong Mix(ulong x)
    {
        x *= 0x9E3779B97F4A7C15;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }
}
