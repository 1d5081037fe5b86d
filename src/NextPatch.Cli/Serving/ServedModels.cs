using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Models;
using NextPatch.Sampling;

namespace NextPatch.Cli.Serving;

/// <summary>Opens the models of <c>--model</c>.</summary>
internal static class ServedModels
{
    /// <param name="given">Paths, or names and paths; none: the model that comes with the program.</param>
    /// <param name="tokenizer">Of all of them; null: each its own.</param>
    /// <param name="imageSize">For files that do not say it.</param>
    /// <param name="precision">How weights are kept.</param>
    /// <param name="backend">Computes.</param>
    /// <param name="prompts">The text encoder of those that take prompts.</param>
    /// <param name="onNote">Receives warnings about it.</param>
    /// <exception cref="NextPatchException">One cannot be opened, or two have one name.</exception>
    public static IReadOnlyList<(string Name, SampleModel Model)> Open(
        IReadOnlyList<string> given, string? tokenizer, int? imageSize, ComputePrecision precision, IComputeBackend backend,
        PromptEncoderChoice prompts, Action<string> onNote)
    {
        if (given.Count == 0)
        {
            return [(BuiltInModel.Name, BuiltInModel.Load(backend))];
        }

        var named = given.Select(Split).ToList();
        if (named.CountBy(model => model.Name).FirstOrDefault(name => name.Value > 1) is { Key: { } twice })
        {
            throw new ConfigException($"Two models are called '{twice}'; name them: --model NAME=PATH.");
        }

        var opened = new List<(string, SampleModel)>();
        try
        {
            foreach (var (name, path) in named)
            {
                var model = SampleModel.Load(path, tokenizer, WeightsKind.Auto, imageSize, precision, backend, prompts: prompts, onNote: onNote);
                opened.Add((name, model));
                if (model.TakesPrompts)
                {
                    model.Encode([""], onNote); // opens the text encoder now rather than for the first client
                }
            }

            return opened;
        }
        catch
        {
            opened.ForEach(model => model.Item2.Dispose());
            throw;
        }
    }

    /// <summary>A path may have an equals sign of its own.</summary>
    private static (string Name, string Path) Split(string given)
    {
        var at = given.IndexOf('=', StringComparison.Ordinal);
        var (name, path) = at > 0 && !Path.Exists(given) ? (given[..at], given[(at + 1)..]) : ("", given);
        return name.Length > 0 ? (name, path) : (Path.GetFileNameWithoutExtension(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path))), path);
    }
}
