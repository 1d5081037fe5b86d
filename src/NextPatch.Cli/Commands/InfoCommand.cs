using System.CommandLine;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Inspection;
using NextPatch.Cli.Rendering;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Tensors;
using Spectre.Console;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch info</c>: what a file or folder holds.</summary>
internal static partial class InfoCommand
{
    private const int ShownNames = 5;
    private const int MostListed = 12;

    public static Command Create()
    {
        var path = new Argument<string>("path")
        {
            Description = "A folder (checkpoint, run, Hugging Face model, tokenizer, codes) or a file (.safetensors, .safetensors.index.json, .pt, "
                + ".pth, .th, .bin, .ckpt, .npz, .npy, .png).",
        };
        var verify = new Option<bool>("--verify")
        {
            Description = "Compare every file of a checkpoint, or of all checkpoints of a run, with the SHA256SUMS beside it; exit code 1 where "
                + "one is damaged. Reads everything.",
        };
        var json = new Option<bool>("--json")
        {
            Description = "Write everything as JSON: format, tensors (name, shape, dtype), parameterCount, preset, step, classNames, contents, and "
                + "more; with --verify path, hasSums, problem of each checkpoint.",
        };
        var command = new Command(
            "info",
            """
            Says what a file or folder holds: configuration, step, tensors, classes, text. Only headers are read, however
            large the file. Nothing in a file is executed. Of a .pt file with several sets of weights the EMA is listed.

            Examples:
              nextpatch info quickstart/model
              nextpatch info c2i_L_384.pt
              nextpatch info weights.safetensors --json
              nextpatch info samples/000000.png
              nextpatch info runs/b --verify
            """) { path, verify, json };
        command.SetAction(parsed =>
        {
            var terminal = Terminal.From(parsed);
            if (parsed.GetValue(verify))
            {
                return Verify(terminal, CheckpointVerification.Verify(parsed.GetRequiredValue(path)), parsed.GetValue(json));
            }

            var summary = Inspector.Describe(parsed.GetRequiredValue(path));
            if (parsed.GetValue(json))
            {
                terminal.WriteJson(summary);
            }
            else
            {
                Show(terminal, summary);
            }

            return ExitCode.Success;
        });
        return command;
    }

    private static int Verify(Terminal terminal, IReadOnlyList<CheckpointVerification> checkpoints, bool asJson)
    {
        if (asJson)
        {
            terminal.WriteJson(checkpoints);
        }
        else
        {
            foreach (var checkpoint in checkpoints)
            {
                terminal.Data.WriteLine($"{checkpoint.Path}: {Verdict(checkpoint)}");
            }
        }

        return checkpoints.All(c => c.Problem is null) ? ExitCode.Success : ExitCode.Failure;
    }

    private static string Verdict(CheckpointVerification checkpoint) => checkpoint switch
    {
        { Problem: { } problem } => $"damaged, {problem}",
        { HasSums: false } => $"nothing wrong to be seen, but there is no {CheckpointSums.FileName}: only names, lengths and headers were checked",
        _ => "whole, every file has its SHA-256",
    };

    private static void Show(Terminal terminal, FileSummary summary)
    {
        var facts = new List<(string Name, string? Value)>
        {
            ("format", summary.Format),
            ("path", summary.Path),
            ("preset", summary.Preset),
            ("weights", summary.Weights),
            ("parameters", summary.ParameterCount?.ToString("N0")),
            ("step", summary.Step?.ToString("N0")),
            ("checkpoints", summary.Checkpoints is { } checkpoints ? string.Join(", ", checkpoints) : null),
            ("takes", summary.Condition),
            ("classes", summary.Condition is not null ? null : summary.ClassNames is { Count: > 0 } names
                ? $"{names.Count:N0}: {string.Join(", ", names.Take(ShownNames))}{(names.Count > ShownNames ? ", ... (all with --json)" : "")}"
                : null),
            ("files", summary.Files is { } files ? string.Join(", ", files.Select(f => $"{f.Key} ({Quantity.Bytes(f.Value)})")) : null),
            ("missing", summary.Missing is { } missing ? $"{string.Join(", ", missing)}: listed in {CheckpointSums.FileName}, but not there" : null),
        };
        facts.AddRange((summary.Text ?? new Dictionary<string, string>()).Select(t => (t.Key, (string?)t.Value)));
        facts.AddRange(Settings("contents", summary.Contents));
        facts.AddRange(Settings("settings", summary.Configuration).Where(s => s.Name != "classNames")); // said above
        terminal.WriteFacts(facts, 12);
        if (summary.Tensors is { Count: > 0 } tensors)
        {
            terminal.Output.Write(TensorTable(tensors));
        }
    }

    /// <summary>An object's settings in one line, then one for each list and object in it.</summary>
    private static IEnumerable<(string Name, string? Value)> Settings(string name, object? value)
    {
        var settings = value is null ? [] : JsonNode.Parse(Terminal.ToJson(value))!.AsObject();
        yield return (name, Describe(new JsonObject(settings.Where(s => s.Value is null or JsonValue).Select(Copy))));
        foreach (var (key, inner) in settings.Where(s => s.Value is not (null or JsonValue)))
        {
            yield return (key, Describe(inner));
        }

        static KeyValuePair<string, JsonNode?> Copy(KeyValuePair<string, JsonNode?> setting) => new(setting.Key, setting.Value?.DeepClone());
    }

    /// <summary>A value in one line with the beginning of long lists: nobody reads a thousand class names.</summary>
    private static string Describe(JsonNode? node) => node switch
    {
        JsonObject settings => string.Join(", ", settings.Select(s => $"{s.Key} {Inner(s.Value)}")),
        JsonArray { Count: > MostListed } list => $"{string.Join(", ", list.Take(ShownNames).Select(Inner))}, ... {list.Count - ShownNames} more",
        JsonArray list => string.Join(", ", list.Select(Inner)),
        null => "none",
        _ => node.ToString(),
    };

    private static string Inner(JsonNode? node) => node is JsonObject or JsonArray ? $"({Describe(node)})" : Describe(node);

    /// <summary>A row for all tensors of the same shape whose names differ in numbers alone, as those of layers do.</summary>
    private static Table TensorTable(IReadOnlyList<TensorSummary> tensors)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumn("tensor").AddColumn(new TableColumn("number").RightAligned());
        table.AddColumn("shape").AddColumn("dtype");
        foreach (var group in tensors.GroupBy(t => (Name: Number.Replace(t.Name, "*"), Shape: HostTensor.Describe(t.Shape), t.Dtype)))
        {
            var name = group.Count() == 1 ? group.Single().Name : group.Key.Name;
            table.AddRow(Markup.Escape(name), $"{group.Count():N0}", Markup.Escape(group.Key.Shape), group.Key.Dtype);
        }

        return table;
    }

    [GeneratedRegex(@"(?<=^|\.)\d+(?=\.|$)")]
    private static partial Regex Number { get; }
}
