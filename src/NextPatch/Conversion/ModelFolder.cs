using System.Text;
using System.Text.Json;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;
using NextPatch.Models;

namespace NextPatch.Conversion;

/// <summary>
/// Writes a model folder in the layout of Hugging Face: <c>config.json</c>, <c>model.safetensors</c> (or numbered files and their
/// index), <c>tokenizer/</c> where there is one, and <c>README.md</c>, the model card.
/// </summary>
/// <param name="output">The folder.</param>
/// <param name="tokenizer">The tokenizer to put beside the model; null = the model's, where it has one.</param>
/// <param name="license">Named by the model card.</param>
/// <param name="maxShardBytes">Most bytes of tensors in a file.</param>
/// <param name="isQuantized">Whether weights are in eight bits in our own layout: the card says how to use them, and sums tell whether they are
/// whole.</param>
internal sealed class ModelFolder(string output, string? tokenizer, string? license, long maxShardBytes, bool isQuantized = false)
{
    /// <param name="source">The model.</param>
    /// <param name="config">Its configuration, as <see cref="ModelSource.ResolveConfig"/> finds it.</param>
    /// <param name="tensors">Its weights as they are to be written.</param>
    /// <param name="metadata">Free text of the safetensors files.</param>
    /// <param name="cancellation">Ends it without a trace.</param>
    /// <exception cref="NextPatchException">Not a model that can be configured, or the folder holds other weights already.</exception>
    public void Write(
        ModelSource source, CheckpointConfig config, IReadOnlyList<KeyValuePair<string, StoredTensor>> tensors,
        IReadOnlyDictionary<string, string> metadata, CancellationToken cancellation)
    {
        var folder = Path.TrimEndingDirectorySeparator(output);
        RequireFree(folder);
        config = config.ClassNames.Count > 0 ? config : config with { ClassNames = ImageNetClasses.For(config.Model.ClassCount) };
        var tokenizerFolder = TokenizerOf(source, config);

        // Made whole under another name, then moved.
        var partial = AtomicFile.PartialOf(folder);
        RequireOwn(partial);
        DeleteIfThere(partial);
        try
        {
            Directory.CreateDirectory(partial);
            SafetensorsIndex.Write(partial, tensors, maxShardBytes, metadata);
            // The copy lies beside the weights, wherever the folder goes.
            var written = tokenizerFolder is null ? config : config with { TokenizerPath = null };
            WriteText(Path.Combine(partial, "config.json"), JsonSerializer.Serialize(written, ConfigJson.Default.CheckpointConfig));
            if (tokenizerFolder is not null)
            {
                CopyTokenizer(tokenizerFolder, Path.Combine(partial, "tokenizer"));
            }

            var card = new ModelCard
            {
                Name = Path.GetFileName(Path.GetFullPath(folder)),
                Config = config,
                Weights = source.KindName,
                Step = source.Step,
                License = license,
                HasTokenizer = tokenizerFolder is not null,
                SourceName = Path.GetFileName(source.Weights.Path),
                SourceHash = WeightsHash.ComputeForFile(source.Weights.Path, cancellation),
                ParameterCount = source.Weights.Tensors.Values.Sum(t => t.Count),
                Preset = GptInference.FindPreset(source.Weights.Tensors.ToDictionary(t => t.Key, t => t.Value.Shape)),
                Types = [.. tensors.Select(t => t.Value.Type).Distinct()],
                IsQuantized = isQuantized,
                IsSharded = File.Exists(Path.Combine(partial, SafetensorsIndex.FileName)),
            };
            WriteText(Path.Combine(partial, "README.md"), card.Render());
            if (isQuantized)
            {
                CheckpointSums.Write(partial, "config.json", "model.safetensors");
            }

            MoveInto(partial, folder);
        }
        finally
        {
            DeleteIfThere(partial);
        }
    }

    private string? TokenizerOf(ModelSource source, CheckpointConfig config)
    {
        var folder = tokenizer ?? Found(source);
        if (folder is null)
        {
            return null;
        }

        if (!File.Exists(Path.Combine(folder, "model.safetensors")) || !File.Exists(Path.Combine(folder, "config.json")))
        {
            throw new ConfigException($"Tokenizer {folder} is no tokenizer: a folder with config.json and model.safetensors.")
            {
                Settings = ["Tokenizer"],
            };
        }

        return config.TokenizerHash is not { } expected || WeightsHash.ComputeForTokenizer(folder) == expected
            ? folder
            : throw new NextPatchException(
                $"The tokenizer in {folder} is not the one whose codes the model was trained on; name the right one as Tokenizer.")
            {
                Settings = ["Tokenizer"],
            };
    }

    /// <summary>Where there is one: a tokenizer that has moved, or is a file, does not keep the weights from being written.</summary>
    private static string? Found(ModelSource source)
    {
        try
        {
            return source.FindTokenizer() is { } folder && Directory.Exists(folder) ? folder : null;
        }
        catch (NextPatchException)
        {
            return null;
        }
    }

    /// <summary>Weights that stay behind would be read instead of, or with, the new ones.</summary>
    private static void RequireFree(string folder)
    {
        string[] taken = Directory.Exists(folder)
            ? [.. Directory.GetFileSystemEntries(folder).Select(e => Path.GetFileName(e)).Where(
                e => e is "latest" or "config.json" or "README.md" or "tokenizer" or SafetensorsIndex.FileName or CheckpointSums.FileName
                || Path.GetExtension(e) is ".safetensors" or ".bin")]
            : [];
        if (taken.Length > 0)
        {
            throw new ConfigException(
                $"The folder '{folder}' already holds {string.Join(", ", taken.Take(3))}{(taken.Length > 3 ? ", …" : "")}; name another one, or "
                + $"delete these.");
        }

        if (File.Exists(folder))
        {
            throw new ConfigException($"'{folder}' is a file; name a folder, or a file with the extension of its format.");
        }
    }

    /// <summary>Refuses to replace what an interrupted conversion cannot have left.</summary>
    private static void RequireOwn(string partial)
    {
        if (Directory.Exists(partial) && Directory.GetFileSystemEntries(partial).Select(e => Path.GetFileName(e)).FirstOrDefault(
            e => e is not ("config.json" or "README.md" or "tokenizer" or CheckpointSums.FileName) && !e.StartsWith(
                "model", StringComparison.Ordinal)) is { } foreign)
        {
            throw new ConfigException($"The folder '{partial}' is in the way and holds '{foreign}', which no conversion writes; move it elsewhere.");
        }
    }

    /// <summary>What a tokenizer consists of; what else lies in its folder stays there.</summary>
    private static void CopyTokenizer(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var name in (string[])["config.json", "model.safetensors"])
        {
            RegularFile.Require(Path.Combine(from, name));
            File.Copy(Path.Combine(from, name), Path.Combine(to, name));
        }
    }

    private static void WriteText(string path, string text) => AtomicFile.WriteFlushed(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)));

    private static void MoveInto(string partial, string folder)
    {
        if (!Directory.Exists(folder))
        {
            Directory.Move(partial, folder);
            return;
        }

        foreach (var entry in Directory.GetFileSystemEntries(partial))
        {
            Directory.Move(entry, Path.Combine(folder, Path.GetFileName(entry)));
        }
    }

    private static void DeleteIfThere(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
