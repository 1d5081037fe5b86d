using System.Globalization;
using System.Text;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using NextPatch.Models;

namespace NextPatch.Conversion;

/// <summary>The README.md of a model folder: what the model is, where it comes from, how to use it.</summary>
internal sealed record ModelCard
{
    private const int ShownClasses = 10;

    public required string Name { get; init; }

    public required CheckpointConfig Config { get; init; }

    /// <summary>ema or model.</summary>
    public required string Weights { get; init; }

    public required long? Step { get; init; }

    public required string? License { get; init; }

    public required bool HasTokenizer { get; init; }

    public required string SourceName { get; init; }

    /// <summary><see cref="WeightsHash"/> of what was converted.</summary>
    public required string SourceHash { get; init; }

    public required long ParameterCount { get; init; }

    public required string? Preset { get; init; }

    public required IReadOnlyList<ElementType> Types { get; init; }

    public required bool IsSharded { get; init; }

    /// <summary>Whether matrices are stored as <see cref="Int8Panels"/>.</summary>
    public bool IsQuantized { get; init; }

    public string Render()
    {
        var text = new StringBuilder();
        void Line(FormattableString line) => text.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
        var isImageNet = Config.ClassNames.SequenceEqual(ImageNetClasses.Names);
        Line($"---\nlicense: {License ?? "unknown"}\nlibrary_name: nextpatch\npipeline_tag: unconditional-image-generation");
        Line($"tags:\n- image-generation\n- autoregressive\n- class-conditional\n- llamagen");
        if (Config.Training is { } run && run.Sides.Count > 1)
        {
            Line($"- next-patch-prediction");
        }

        if (isImageNet)
        {
            Line($"datasets:\n- imagenet-1k");
        }

        Line($"---\n\n# {Name}\n");
        const string what = "a Llama-style transformer that predicts the codes of an image one by one (LlamaGen, arXiv 2406.06525)";
        Line($"An autoregressive class-conditional image generator: {what}.\n");
        Facts(Line);
        Training(Line);
        Usage(Line);
        return text.ToString();
    }

    private void Facts(Action<FormattableString> line)
    {
        var model = Config.Model;
        line($"| | |\n|---|---|");
        line($"| parameters | {ParameterCount:N0} |");
        line($"| preset | {(Preset is null ? "none" : $"GPT-{Preset}")}: {model.LayerCount} layers, width {model.Width}, {model.HeadCount} heads |");
        line($"| grid of codes | {model.GridSide} x {model.GridSide}{(Config.ImageSide is { } side ? $", images of {side} x {side} pixels" : "")} |");
        line($"| vocabulary | {model.VocabularySize} codes |");
        var names = Config.ClassNames.Take(ShownClasses).Select(ClassLookup.ShortName);
        var more = Config.ClassNames.Count > ShownClasses ? ", …" : "";
        line($"| classes | {model.ClassCount}{(Config.ClassNames.Count > 0 ? $": {string.Join(", ", names)}{more}" : "")} |");
        var guidance = model.HasNullClass
            ? "class labels were dropped in training, so classifier-free guidance works"
            : "no null class, so no guidance";
        line($"| guidance | {guidance} |");
        var weights = Weights == "ema" ? "exponential moving average over training (ema)" : "as trained (model)";
        line($"| weights | {weights}, {string.Join(", ", Types.Select(ElementTypes.NameOf))} |");
        line($"| tokenizer | {(HasTokenizer ? "in `tokenizer/`" : "not included: codes are drawn, not images")} |");
        line($"| converted from | `{SourceName}`, SHA-256 `{SourceHash}` |\n");
    }

    private void Training(Action<FormattableString> line)
    {
        if (Config.Training is not { } run)
        {
            line($"How it was trained is not known to this card{(Step is { } s ? $" beyond its {s:N0} optimiser steps" : "")}.\n");
            return;
        }

        line($"## Training\n");
        var schedule = run.Stages is { } stages ? $"stages {string.Join(',', stages)}" : FormattableString.Invariant($"stage rate {run.StageRate}");
        var kind = run.Sides.Count > 1 ? "Next patch prediction (arXiv 2412.15321)" : "Next-token prediction";
        var spent = Step is { } step ? FormattableString.Invariant($"{step:N0} optimiser steps")
            : run.Steps is { } steps ? FormattableString.Invariant($"{steps:N0} optimiser steps planned")
            : FormattableString.Invariant($"{run.Epochs} epochs planned");
        FormattableString rate = $"learning rate {run.LearningRate} to {run.EndLearningRate}, weight decay {run.WeightDecay}, seed {run.Seed}";
        var settings = rate.ToString(CultureInfo.InvariantCulture);
        const string where = "All settings are in `config.json`.";
        line($"{kind} with patch sides {string.Join(", ", run.Sides)} ({schedule}), batch {run.BatchSize}, {spent}, {settings}. {where}\n");
    }

    private void Usage(Action<FormattableString> line)
    {
        line($"## Use\n\nWith NextPatch:\n");
        var scale = Config.Model.HasNullClass ? " --cfg-scale 2.0" : "";
        line($"    nextpatch sample --model {Name} --class {(Config.Model.ClassCount > 207 ? 207 : 0)} --count 8{scale} --output samples");
        line($"    nextpatch info {Name}\n");
        if (IsQuantized)
        {
            Quantized(line);
            return;
        }

        line($"In PyTorch; the state keys are those of LlamaGen's `Transformer`:\n");
        if (IsSharded)
        {
            line($"    import glob\n    from safetensors.torch import load_file\n    state = {{}}");
            line($"    for part in sorted(glob.glob(\"{Name}/model-*.safetensors\")):\n        state.update(load_file(part))");
        }
        else
        {
            line($"    from safetensors.torch import load_file\n    state = load_file(\"{Name}/model.safetensors\")");
        }

        line($"    model.load_state_dict(state)");
    }

    private void Quantized(Action<FormattableString> line)
    {
        line($"In a .NET program (package NextPatch); the weights stay in their file, mapped:\n");
        line($"    using var generator = ImageGenerator.Load(\"{Name}\");");
        line($"    await foreach (var image in generator.GenerateAsync(new() {{ Count = 8 }}))");
        line($"        image.SavePng($\"{{image.Index}}.png\");\n");
        line($"Matrices are whole numbers of eight bits with a scale for every 128 weights of an output, in panels that products read in place:");
        line($"`x.panels` int8 [panels, K / 2, 32, 2] and `x.panel_scales` float32 [panels, blocks of 128, 32]; `{Int8Panels.MetadataKey}` in the");
        line($"metadata says N and K of each `x`. In Python:\n");
        line($"    q = state[\"x.panels\"].permute(0, 2, 1, 3).reshape(-1, 2 * state[\"x.panels\"].shape[1])[:N, :K]");
        line($"    s = state[\"x.panel_scales\"].permute(0, 2, 1).reshape(-1, state[\"x.panel_scales\"].shape[1])[:N]");
        line($"    x = q.float() * s.repeat_interleave(128, 1)[:, :K]");
    }
}
