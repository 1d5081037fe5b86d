using System.Text.Json.Nodes;
using NextPatch.Core.Configuration;
using NextPatch.Torch.Gpt;
using static TorchSharp.torch;

namespace NextPatch.Goldens.Cases;

/// <summary>Published presets: sizes, parameter counts, state keys in order and their shapes, decay groups. Nothing is allocated.</summary>
internal static class GptPresetsCase
{
    private const string WidthTable = "ffn_hidden_by_dim_multiple_of_";

    public static void Run(CaseRun run)
    {
        var root = run.Golden.Json(run.Golden.FileEnding(".json"));
        foreach (var (name, types) in root["presets"]!.AsObject())
        {
            foreach (var (type, facts) in types!.AsObject())
            {
                if (type == "c2i")
                {
                    Check(run, name, facts!);
                }
            }
        }

        foreach (var (key, table) in root.AsObject().Where(p => p.Key.StartsWith(WidthTable, StringComparison.Ordinal)))
        {
            var multipleOf = int.Parse(key[WidthTable.Length..]);
            foreach (var (width, hidden) in table!.AsObject())
            {
                var config = new GptConfig { Width = int.Parse(width), LayerCount = 1, HeadCount = 1, FfnMultipleOf = multipleOf };
                run.Same($"hidden width at {width}", config.FfnWidth, (int)hidden!);
            }
        }

        run.Remark("text-conditional entries are not supported yet");
    }

    private static void Check(CaseRun run, string name, JsonNode facts)
    {
        var config = GptPresets.Get(name);
        var golden = facts["config"]!;
        config = config with
        {
            VocabularySize = (int)golden["vocab_size"]!,
            ClassCount = (int)golden["num_classes"]!,
            ClassDropout = (double)golden["class_dropout_prob"]!,
        };
        run.SameList($"{name} dim, layers, heads, head width", [config.Width, config.LayerCount, config.HeadCount, config.HeadWidth],
            new[] { "dim", "n_layer", "n_head", "head_dim" }.Select(key => (int)golden[key]!));
        run.Same($"{name} ffn_hidden", config.FfnWidth, (int)facts["ffn_hidden"]!);
        run.Same($"{name} n_params", config.ParameterCount, (long)facts["n_params"]!);

        var (state, parameters) = Shapes(config);
        run.Same($"{name} n_param_tensors", parameters.Count, (int)facts["n_param_tensors"]!);
        run.Same($"{name} n_state_dict_keys", state.Count, (int)facts["n_state_dict_keys"]!);
        run.Same($"{name} n_state_dict_numel", state.Sum(p => Elements(p.Shape)), (long)facts["n_state_dict_numel"]!);
        var decayed = parameters.ToLookup(p => p.Shape.Length >= 2);
        run.Same($"{name} decay_tensors", decayed[true].Count(), (int)facts["decay_tensors"]!);
        run.Same($"{name} decay_params", decayed[true].Sum(p => Elements(p.Shape)), (long)facts["decay_params"]!);
        run.Same($"{name} nodecay_tensors", decayed[false].Count(), (int)facts["nodecay_tensors"]!);
        run.Same($"{name} nodecay_params", decayed[false].Sum(p => Elements(p.Shape)), (long)facts["nodecay_params"]!);
        if (facts["state_dict"] is JsonArray keys)
        {
            run.SameList($"{name} state_dict", state.Select(p => $"{p.Name}[{string.Join(",", p.Shape)}]"),
                keys.Select(k => $"{k![0]}[{string.Join(",", k[1]!.AsArray().Select(n => (long)n!))}]"));
        }

        if (facts["named_parameters"] is JsonArray names)
        {
            run.SameList($"{name} named_parameters", parameters.Select(p => p.Name), names.Select(n => (string)n!));
        }
    }

    private static (List<(string Name, long[] Shape)> State, List<(string Name, long[] Shape)> Parameters) Shapes(GptConfig config)
    {
        var device = get_default_device();
        set_default_device(META);
        try
        {
            using var scope = NewDisposeScope();
            using var model = new GptModel(config);
            return ([.. model.state_dict().Select(p => (p.Key, p.Value.shape))],
                [.. model.named_parameters().Select(p => (p.name, p.parameter.shape))]);
        }
        finally
        {
            set_default_device(device);
        }
    }

    private static long Elements(long[] shape) => shape.Aggregate(1L, (product, extent) => product * extent);
}
