using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;

namespace NextPatch.Cpu.Gpt;

/// <summary>The published names of a transformer's weights and their shapes.</summary>
internal static class GptState
{
    public const string Classes = "cls_embedding.embedding_table.weight";
    public const string CaptionIn = "cls_embedding.cap_proj.fc1.weight";
    public const string CaptionOut = "cls_embedding.cap_proj.fc2.weight";
    public const string Unconditional = "cls_embedding.uncond_embedding";
    public const string Codes = "tok_embeddings.weight";
    public const string FinalNorm = "norm.weight";
    public const string Head = "output.weight";
    private const int MaxListed = 8;

    public static string AttentionNorm(int layer) => $"layers.{layer}.attention_norm.weight";

    public static string Qkv(int layer) => $"layers.{layer}.attention.wqkv.weight";

    public static string AttentionOutput(int layer) => $"layers.{layer}.attention.wo.weight";

    public static string FeedForwardNorm(int layer) => $"layers.{layer}.ffn_norm.weight";

    public static string Gate(int layer) => $"layers.{layer}.feed_forward.w1.weight";

    public static string Up(int layer) => $"layers.{layer}.feed_forward.w3.weight";

    public static string Down(int layer) => $"layers.{layer}.feed_forward.w2.weight";

    /// <summary>Shapes by name.</summary>
    public static Dictionary<string, long[]> Shapes(GptConfig config)
    {
        long width = config.Width, ffn = config.FfnWidth;
        var shapes = new Dictionary<string, long[]>
        {
            [Codes] = [config.VocabularySize, width],
            [FinalNorm] = [width],
            [Head] = [config.VocabularySize, width],
        };
        if (config.Text is { } text)
        {
            shapes[CaptionIn] = [width, text.FeatureWidth];
            shapes[CaptionOut] = [width, width];
            shapes[Unconditional] = [text.TokenCount, text.FeatureWidth];
        }
        else
        {
            shapes[Classes] = [config.ClassRows, width];
        }

        for (var i = 0; i < config.LayerCount; i++)
        {
            shapes[AttentionNorm(i)] = [width];
            shapes[Qkv(i)] = [config.QkvWidth, width];
            shapes[AttentionOutput(i)] = [width, (long)config.HeadCount * config.HeadWidth];
            shapes[FeedForwardNorm(i)] = [width];
            shapes[Gate(i)] = [ffn, width];
            shapes[Up(i)] = [ffn, width];
            shapes[Down(i)] = [width, ffn];
        }

        return shapes;
    }

    /// <exception cref="NextPatchException">Weights are missing, unexpected or of another shape or kind: all of them in one message.</exception>
    public static void Check(GptConfig config, IReadOnlyDictionary<string, StoredTensor> tensors, string source)
    {
        var shapes = Shapes(config);
        var problems = new List<string>();
        problems.AddRange(Listed("missing", shapes.Keys.Where(k => !tensors.ContainsKey(k))));
        problems.AddRange(Listed("unexpected", tensors.Keys.Where(k => !shapes.ContainsKey(k))));
        problems.AddRange(Listed("of another shape", shapes.Where(p => tensors.TryGetValue(p.Key, out var t) && !t.Shape.SequenceEqual(p.Value))
            .Select(p => $"'{p.Key}' is {HostTensor.Describe(tensors[p.Key].Shape)} but the model expects {HostTensor.Describe(p.Value)}")));
        problems.AddRange(Listed("no real numbers", shapes.Keys.Where(k => tensors.TryGetValue(k, out var t) && !t.Type.IsFloating())));
        if (problems.Count > 0)
        {
            throw new NextPatchException(
                $"The weights in {source} do not fit the model; the preset or the number of classes or codes is probably another. "
                + string.Join(" ", problems));
        }
    }

    private static IEnumerable<string> Listed(string what, IEnumerable<string> items)
    {
        var all = items.ToList();
        if (all.Count > 0)
        {
            yield return $"{all.Count} {what}: {string.Join(", ", all.Take(MaxListed))}{(all.Count > MaxListed ? ", …" : "")}.";
        }
    }
}
