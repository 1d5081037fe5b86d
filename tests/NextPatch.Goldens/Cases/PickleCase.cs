using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using NextPatch.Core;
using NextPatch.Core.Checkpoints.Pickle;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Tensors;

namespace NextPatch.Goldens.Cases;

/// <summary>PyTorch checkpoints of many layouts and pickle protocols: every tensor, bit for bit; damaged files must be refused.</summary>
internal static partial class PickleCase
{
    public static void Run(CaseRun run)
    {
        foreach (var variant in run.Golden.Entry["variants"]!.AsArray())
        {
            var (file, how, check) = ((string)variant!["file"]!, (string?)variant["how"] ?? "", (string?)variant["check"] ?? "");
            if (check.Contains("must raise", StringComparison.Ordinal))
            {
                CheckRefused(run, file);
            }
            else
            {
                CheckTensors(run, file, check);
                CheckTrainingState(run, file, how, isTransformer: !ZeroTensor().IsMatch(check));
            }
        }
    }

    private static void CheckRefused(CaseRun run, string file)
    {
        var isRefused = false;
        try
        {
            _ = PyTorchFile.ReadStateDict(run.Golden.PathOf(file));
        }
        catch (NextPatchException)
        {
            isRefused = true;
        }

        run.Same($"{file} is refused", isRefused, true);
    }

    private static void CheckTensors(CaseRun run, string file, string check)
    {
        var path = run.Golden.PathOf(file);
        foreach (Match zeros in ZeroTensor().Matches(check))
        {
            var value = PyTorchFile.ReadStateDict(path, zeros.Groups[1].Value)[zeros.Groups[2].Value];
            run.Close($"{file} {zeros.Value}", value.ToDoubles(), new double[int.Parse(zeros.Groups[3].Value)], value.Shape, Tolerance.Exact);
        }

        var comparisons = Comparison().Matches(check);
        foreach (Match comparison in comparisons)
        {
            Compare(run, file, PyTorchFile.ReadStateDict(path, comparison.Groups[1].Value), comparison.Groups[2].Value);
        }

        // Remarks such as "strip prefix" name no archive: the tensors are those of the model.
        if (comparisons.Count == 0 && !ZeroTensor().IsMatch(check))
        {
            Compare(run, file, PyTorchFile.ReadStateDict(path, "model"), "expected_model.npz");
        }
    }

    private static void CheckTrainingState(CaseRun run, string file, string how, bool isTransformer)
    {
        var path = run.Golden.PathOf(file);
        if (how.Contains("+ ema", StringComparison.Ordinal))
        {
            Compare(run, file, PyTorchFile.ReadStateDict(path, "ema"), "expected_ema.npz");
        }

        if (PyTorchFile.Read(path) is not Dictionary<object, object?> top
            || top.GetValueOrDefault("optimizer") is not Dictionary<object, object?> optimizer
            || !(optimizer.GetValueOrDefault("state") is Dictionary<object,
                object?> { Count: > 0 } || how.Contains("optimizer state", StringComparison.Ordinal)))
        {
            return;
        }

        foreach (var (name, expected) in run.Golden.Arrays(run.Golden.FileEnding("/expected_optimizer.npz")))
        {
            run.Close($"{file} optimizer {name}", (HostTensor)Follow(optimizer, name.Split('.'))!, expected, Tolerance.Exact);
        }

        // The tokenizer's checkpoint has steps and settings of its own, which are not recorded.
        if (!isTransformer || top["args"] is UnknownPickleValue)
        {
            return;
        }

        run.Same($"{file} steps", top["steps"]?.ToString(), run.Golden.Entry["steps"]?.ToString());
        var args = (Dictionary<object, object?>)top["args"]!;
        foreach (var (name, expected) in run.Golden.Entry["args"] as JsonObject ?? [])
        {
            run.Same($"{file} args.{name}", Text(args.GetValueOrDefault(name)),
                Text(expected?.GetValue<object>() is var value && value is System.Text.Json.JsonElement e ? Plain(e) : value));
        }
    }

    private static object? Follow(object from, IEnumerable<string> names)
        => names.Aggregate((object?)from, (at, name) => ((Dictionary<object, object?>)at!)[long.TryParse(name, out var number) ? number : name]);

    private static object? Plain(System.Text.Json.JsonElement e) => e.ValueKind switch
    {
        System.Text.Json.JsonValueKind.Number => e.GetDouble(),
        System.Text.Json.JsonValueKind.True => true,
        System.Text.Json.JsonValueKind.False => false,
        System.Text.Json.JsonValueKind.Null => null,
        _ => e.GetString(),
    };

    private static string? Text(object? value) => value is long integer ? ((double)integer).ToString() : value?.ToString();

    private static void Compare(CaseRun run, string file, IReadOnlyDictionary<string, HostTensor> tensors, string archive)
    {
        const string Float64Suffix = "__f64";
        var expected = run.Golden.Arrays(run.Golden.FileEnding("/" + archive)).ToDictionary(
            p => p.Key.EndsWith(Float64Suffix, StringComparison.Ordinal) ? p.Key[..^Float64Suffix.Length] : p.Key, p => p.Value);
        run.SameList($"{file} keys", tensors.Keys.Order(StringComparer.Ordinal), expected.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, golden) in expected)
        {
            if (tensors.TryGetValue(name, out var tensor))
            {
                run.Close($"{file} {name}", tensor, golden, Tolerance.Exact);
            }
        }
    }

    [GeneratedRegex(@"([\w-]+)(?:\[\.\.\.\])? == (expected_\w+\.npz)")]
    private static partial Regex Comparison();

    [GeneratedRegex(@"(\w+) (\w+) == zeros\((\d+)\)")]
    private static partial Regex ZeroTensor();
}
