using System.CommandLine;
using System.Text.Json.Nodes;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Inspection;
using NextPatch.Cli.Rendering;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Tensors;
using Spectre.Console;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch info</c>: what a file or folder holds.</summary>
internal static class InfoCommand
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

    /// <summary>The same as JSON with the beginning of long lists: nobody reads a thousand class names.</summary>
    private static JsonNode? Summarized(object value)
    {
        var node = JsonNode.Parse(Terminal.ToJson(value));
        Shorten(node);
        return node;

        static void Shorten(JsonNode? node)
        {
            if (node is JsonArray { Count: > MostListed } list)
            {
                var more = list.Count - ShownNames;
                list.RemoveRange(ShownNames, more);
                list.Add($"... {more} more");
            }

            foreach (var inner in node switch { JsonArray l => l, JsonObject o => o.Select(p => p.Value), _ => Enumerable.Empty<JsonNode?>() })
            {
                Shorten(inner);
            }
        }
    }

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
        terminal.WriteFacts(facts, 12);

        if (summary.Contents is not null)
        {
            terminal.Data.WriteLine("contents");
            terminal.WriteJson(Summarized(summary.Contents));
        }

        if (summary.Configuration is not null)
        {
            terminal.Data.WriteLine("configuration");
            terminal.WriteJson(Summarized(summary.Configuration));
        }

        if (summary.Tensors is { Count: > 0 } tensors)
        {
            var table = new Table().Border(TableBorder.Simple).AddColumn("tensor").AddColumn("shape").AddColumn("dtype");
            foreach (var tensor in tensors)
            {
                table.AddRow(Markup.Escape(tensor.Name), Markup.Escape(HostTensor.Describe(tensor.Shape)), tensor.Dtype);
            }

            terminal.Output.Write(table);
        }
    }
}
