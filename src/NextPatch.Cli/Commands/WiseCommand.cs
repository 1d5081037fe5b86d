using System.CommandLine;
using System.Globalization;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Evaluation;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Sampling;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;
using NextPatch.Core.Generation;
using NextPatch.Evaluation.Wise;
using NextPatch.Sampling;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch wise</c>: the benchmark WISE, from prompts to the score.</summary>
internal static class WiseCommand
{
    private const string KeyVariable = "NEXTPATCH_JUDGE_KEY";
    private const long MostInstructions = 1 << 20;

    public static Command Create()
    {
        var (rules, prompting) = (new SamplingOptions(), new PromptOptions());
        var prompts = new Option<string[]>("--prompts")
        {
            Description = "Lists of WISE (data/*.json or data_verified/*.json): prompt_id, Prompt, Explanation; may be repeated.", Required = true,
            HelpName = "file",
        };
        var images = new Option<string>("--images") { Description = "Folder of 1.png, 2.png ..", Required = true, HelpName = "dir" };
        var model = new Option<string?>("--model")
        {
            Description = "A model that takes prompts: draws the images that are missing. [default: images are not drawn]", HelpName = "path",
        };
        var tokenizer = new Option<string?>("--tokenizer")
        {
            Description = "Its tokenizer, as 'sample' takes it. [default: the one it remembers, or tokenizer/ beside it]", HelpName = "path",
        };
        var imageSize = new Option<int?>("--image-size")
        {
            Description = "Side of the images in pixels, where a file of weights does not say it. [default: 256]", HelpName = "px",
        };
        var precision = new Option<string>("--precision")
        {
            Description = "How weights are kept.", HelpName = "fp32|bf16|int8", DefaultValueFactory = _ => "fp32",
        };
        precision.AcceptOnlyFromAmong("fp32", "bf16", "int8");
        var seed = new Option<ulong>("--seed") { Description = "Seed of the images.", HelpName = "n", DefaultValueFactory = _ => 0 };
        var judge = new Option<string?>("--judge")
        {
            Description = "An OpenAI-compatible endpoint with a model that sees images, such as http://127.0.0.1:8000/v1. [default: nothing is "
                + "asked, the verdicts that are there are summed up]", HelpName = "url",
        };
        var judgeModel = new Option<string?>("--judge-model")
        {
            Description = "The judge's name there; published figures are gpt-4o-2024-05-13's, verified ones Qwen3.5-35B-A3B's.", HelpName = "name",
        };
        var judgeKey = new Option<string?>("--judge-key")
        {
            Description = $"Key of the endpoint. [default: the variable {KeyVariable}, which other users of the machine do not see]",
            HelpName = "key",
        };
        var judgePrompt = new Option<string?>("--judge-prompt")
        {
            Description = "A file with what the judge is told, with {prompt} and {explanation}; figures compare with published ones only where this "
                + "is the published wording. [default: a wording of our own]", HelpName = "file",
        };
        var verified = new Option<bool>("--verified") { Description = "WISE_Verified: one binary score per image, other weights of categories." };
        var results = new Option<string?>("--results")
        {
            Description = "File of verdicts, JSON lines; the same command continues it. [default: wise.jsonl or wise-verified.jsonl in --images]",
            HelpName = "file",
        };
        var jobs = new Option<int>("--jobs") { Description = "Questions at a time.", HelpName = "n", DefaultValueFactory = _ => 4 }.Between(1, 256);
        var json = new Option<bool>("--json") { Description = "Write the scores as JSON." };
        var command = new Command(
            "wise",
            """
            Measures by WISE (arXiv 2503.07265) whether images show what prompts mean, which takes knowledge of the world: draws an
            image per prompt, has a model that sees images judge each, and sums up: a score per category and the weighted whole.
            Killed or stopped, the same command goes on: images and verdicts that are there stay.

            Examples:
              nextpatch wise --model text-run --prompts data/cultural_common_sense.json --images wise
              nextpatch wise --prompts data/cultural_common_sense.json --prompts data/spatio-temporal_reasoning.json \
                  --prompts data/natural_science.json --images wise --judge http://127.0.0.1:8000/v1 --judge-model Qwen3.5-35B-A3B
              nextpatch wise --prompts data_verified/natural_science_verified.json --images wise --verified --json
            """)
        {
            prompts, images, model, tokenizer, imageSize, precision, seed, judge, judgeModel, judgeKey, judgePrompt, verified, results, jobs, json,
        };
        rules.AddTo(command);
        prompting.AddTo(command);
        command.SetAction(async (parsed, cancellation) =>
        {
            StopSignals.LetFinish();
            var terminal = Terminal.From(parsed);
            var (all, folder) = (WisePrompts.Read(parsed.GetRequiredValue(prompts)), parsed.GetRequiredValue(images));
            var isVerified = parsed.GetValue(verified);
            using var asked = Judge(
                parsed.GetValue(judge), parsed.GetValue(judgeModel), isVerified,
                parsed.GetValue(judgeKey) ?? Environment.GetEnvironmentVariable(KeyVariable), parsed.GetValue(judgePrompt));
            if (parsed.GetValue(model) is { } path && WiseImages.Missing(all, folder) is { Count: > 0 } missing)
            {
                IReadOnlyList<PromptFeatures> features = [];
                GenerationRequest drawn = null!;
                void Resolve(CheckpointConfig config)
                {
                    if (config.Model.Text is null)
                    {
                        throw new ConfigException($"'{path}' draws classes; WISE needs a model that takes prompts. Name another --model.");
                    }

                    drawn = new GenerationRequest { Labels = [], Seed = parsed.GetValue(seed), Sampling = rules.Resolve(parsed, config.Model) };
                    features = PromptOptions.Encode(
                        [.. missing.Select(prompt => prompt.Prompt)], config, prompting.Read(parsed), note => terminal.WriteNote("Warning: " + note),
                        cancellation);
                }

                using var loaded = SampleModel.Load(
                    path, parsed.GetValue(tokenizer), WeightsKind.Auto, parsed.GetValue(imageSize),
                    Enum.Parse<ComputePrecision>(parsed.GetRequiredValue(precision), ignoreCase: true), onConfig: Resolve);
                if (loaded.Tokenizer is null)
                {
                    throw new ConfigException($"'{path}' draws codes, and no tokenizer lies beside it; name one with --tokenizer.");
                }

                using var drawing = terminal.CreateProgress();
                WiseImages.Draw(loaded, missing, features, folder, drawn, drawing.For("Sampling", missing.Count), cancellation);
            }

            WiseSummary summary;
            using (var progress = terminal.CreateProgress())
            {
                var file = parsed.GetValue(results) ?? Path.Combine(folder, isVerified ? "wise-verified.jsonl" : "wise.jsonl");
                summary = await WiseRun.RunAsync(
                    all, folder, file, asked, isVerified, parsed.GetValue(jobs), progress.ForEvaluation(), cancellation);
            }

            if (parsed.GetValue(json))
            {
                terminal.WriteJson(summary);
            }
            else
            {
                Write(terminal, summary);
            }

            return ExitCode.Success;
        });
        return command;
    }

    private static WiseJudge? Judge(string? url, string? model, bool isVerified, string? key, string? instructions) => (url, model) switch
    {
        (null, null) when instructions is null => null,
        ({ } address, { } name) => new WiseJudge(
            address, name, isVerified, key is { Length: > 0 } ? key : null,
            instructions is null ? null : TextFile.Read(instructions, MostInstructions)),
        _ => throw new ConfigException("A judge is an address and a name: give both --judge and --judge-model."),
    };

    private static void Write(Terminal terminal, WiseSummary summary)
    {
        var facts = summary.Categories.Select(p => (p.Key.ToLowerInvariant(), (string?)Score(p.Value))).ToList();
        facts.Insert(0, (summary.IsVerified ? "WISE_Verified" : "WiScore", summary.Overall is { } overall
            ? Score(overall)
            : $"not known: {summary.Judged:N0} images are judged, {summary.Missing:N0} are not; all of the six categories must be"));
        facts.Add(("without image", summary.WithoutImage > 0 ? $"{summary.WithoutImage:N0}" : null));
        facts.Add(("no verdict", summary.Failed > 0 ? $"{summary.Failed:N0}: the judge said nothing usable; the same command asks again" : null));
        terminal.WriteFacts(facts, 16);
    }

    private static string Score(double value) => value.ToString("0.0000", CultureInfo.InvariantCulture);
}
