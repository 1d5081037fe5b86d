using System.Text.Json.Nodes;
using NextPatch.Core.Checkpoints;
using NextPatch.Text.Captions;
using NextPatch.Text.Encoders;
using NextPatch.Text.Tokens;
using NextPatch.Torch.Text;

namespace NextPatch.Goldens.Cases;

/// <summary>Captions: cleaning, tokens, the encoder of T5.</summary>
internal static class TextCases
{
    public static void RunCleaning(CaseRun run)
    {
        foreach (var item in Items(run))
        {
            run.Same($"'{(string)item["input"]!}'", CaptionCleaner.Clean((string)item["input"]!), (string)item["output"]!);
        }
    }

    public static void RunTokens(CaseRun run)
    {
        // The model lies beside the folder of goldens; a subset has its own copy or none.
        var path = run.Golden.PathOf(Path.Combine("..", "data", "t5", "spiece.model"));
        if (!File.Exists(path))
        {
            run.Incomplete($"needs {(string?)run.Golden.Config["model"]}");
            return;
        }

        var tokenizer = UnigramTokenizer.Open(path);
        foreach (var item in Items(run))
        {
            var ids = item["ids"]!.AsArray().Select(id => (int)id!);
            run.SameList($"'{(string)item["text"]!}'", tokenizer.Encode((string)item["text"]!), ids);
        }
    }

    public static void RunEncoder(CaseRun run)
    {
        var arrays = run.Golden.Arrays();
        using var weights = WeightsFile.Open(run.Golden.PathOf(run.Golden.FileEnding(".pt")));
        using var encoder = new T5Encoder(weights.Tensors, weights.Path);
        using var torch = new TorchT5Encoder(weights.Tensors, weights.Path);
        run.Same("gated", encoder.Config.IsGated, (bool)run.Golden.Config["is_gated_act"]!);
        run.Same("layers", encoder.Config.LayerCount, (int)run.Golden.Config["num_layers"]!);
        run.Same("heads", encoder.Config.HeadCount, (int)run.Golden.Config["num_heads"]!);
        run.Same("hidden width", encoder.Config.FfnWidth, (int)run.Golden.Config["d_ff"]!);

        var (ids, mask, golden) = (arrays["input_ids"], arrays["attention_mask"].ToDoubles(), arrays["last_hidden_state"]);
        var (texts, length, width) = ((int)ids.Shape[0], (int)ids.Shape[1], encoder.Config.Width);
        var real = Enumerable.Range(0, texts).Select(
            i => ids.ToDoubles().Skip(i * length).Take((int)mask.Skip(i * length).Take(length).Sum()).Select(id => (int)id).ToArray()).ToArray();
        var expected = new List<double>();
        for (var i = 0; i < texts; i++)
        {
            expected.AddRange(golden.ToDoubles().Skip(i * length * width).Take(real[i].Length * width));
        }

        foreach (var engine in (IT5Encoder[])[encoder, torch])
        {
            run.Close(
                $"last_hidden_state, {engine.Engine}", [.. engine.Encode(real).Select(f => (double)f)], [.. expected],
                [expected.Count / width, width], run.Golden.Tolerance("last_hidden_state"));
        }
    }

    private static IEnumerable<JsonNode> Items(CaseRun run) => run.Golden.Json(run.Golden.FileEnding(".json"))["items"]!.AsArray().Select(i => i!);
}
