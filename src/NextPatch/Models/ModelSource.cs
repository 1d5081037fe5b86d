using System.Text.Json;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;

namespace NextPatch.Models;

/// <summary>Weights as a person names them, a run, a folder or a file, open for reading, with what lies beside them.</summary>
internal sealed class ModelSource : IDisposable
{
    /// <summary>Pixels per code and side of the published tokenizer (VQ-16).</summary>
    public const int PublishedDownsampling = 16;

    private ModelSource(WeightsFile weights) => Weights = weights;

    public WeightsFile Weights { get; }

    /// <summary>The folder that belongs to the weights; null for a file on its own.</summary>
    public string? Folder { get; private init; }

    /// <summary>What <c>config.json</c> beside the weights says; null where there is none of a model trained or converted here.</summary>
    public CheckpointConfig? Config { get; private init; }

    /// <summary>Optimiser steps done; null where nothing says.</summary>
    public long? Step { get; private init; }

    /// <summary>ema or model.</summary>
    public string KindName => Weights.Kind == WeightsKind.Ema ? "ema" : "model";

    /// <param name="path">A run folder (its newest checkpoint), a checkpoint or model folder, or a file of weights.</param>
    /// <param name="kind">Which weights, where there is a choice.</param>
    /// <exception cref="NextPatchException">Missing, damaged, or without such weights.</exception>
    public static ModelSource Open(string path, WeightsKind kind = WeightsKind.Auto)
    {
        path = Resolve(path);
        var weights = WeightsFile.Open(path, kind);
        try
        {
            var folder = Directory.Exists(path) ? path : FolderOf(path);
            return new ModelSource(weights)
            {
                Folder = folder,
                Config = (folder is null ? null : ReadConfig(folder)) ?? FileConfig.Read(weights),
                Step = weights.Step ?? (folder is null ? null : ReadStep(folder)),
            };
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>The newest checkpoint where a run is named, else the path itself.</summary>
    public static string Resolve(string path)
        => Directory.Exists(path) && WeightsFile.FindIn(path, WeightsKind.Auto) is null ? CheckpointFolder.Resolve(path) : path;

    /// <summary>The configuration beside the weights, or the one that their shapes tell.</summary>
    /// <param name="imageSize">Side of the images in pixels, for weights that do not say it; null = 256.</param>
    /// <exception cref="ConfigException">Not a class-conditional transformer, or of another image size.</exception>
    public CheckpointConfig ResolveConfig(int? imageSize = null)
    {
        if (imageSize is { } size && (size <= 0 || size % PublishedDownsampling != 0))
        {
            throw new ConfigException(
                $"ImageSize {size} must be a multiple of {PublishedDownsampling}, the pixels per code; published models have 256 or 384.")
            {
                Settings = ["ImageSize"],
            };
        }

        var side = imageSize / PublishedDownsampling;
        if (Config is null)
        {
            var stated = GptInference.FindGridSide(Weights);
            RequireSame(imageSize, side, stated);
            var model = GptInference.Infer(Weights, stated ?? side);
            return new CheckpointConfig
            {
                Model = model, ClassNames = ImageNetClasses.For(model.ClassCount), ImageSide = model.GridSide * PublishedDownsampling,
            };
        }

        RequireSame(imageSize, imageSize == Config.ImageSide ? Config.Model.GridSide : side, Config.Model.GridSide);
        return Config;
    }

    /// <summary>
    /// The tokenizer to draw with: the one that is named, the recorded one, or the folder <c>tokenizer/</c> in the model's folder, of a checkpoint
    /// also in its run and beside the run, of another model also beside it if it is the one that was recorded. Null if there is none.
    /// </summary>
    /// <param name="given">What a person names.</param>
    /// <exception cref="NextPatchException">It is not where it was recorded; says where that is.</exception>
    public string? FindTokenizer(string? given = null)
        => new RecordedTokenizer($"the weights in {Weights.Path}", Config?.TokenizerPath, Config?.TokenizerHash).Find(given, TokenizerPlaces());

    private IEnumerable<string> TokenizerPlaces()
    {
        var own = Folder is null ? null : Path.GetFullPath(Folder);
        var above = Path.GetDirectoryName(own ?? Path.GetFullPath(Weights.Path));
        if (own is not null && File.Exists(Path.Combine(own, "state.json")))
        {
            string?[] ofRun = [own, above, Path.GetDirectoryName(above)];
            return ofRun.Where(folder => folder is not null).Select(folder => Path.Combine(folder!, "tokenizer"));
        }

        // Others may keep another model's tokenizer beside this one, so only the one that it remembers counts.
        var beside = Path.Combine(above ?? "", "tokenizer");
        var isRecorded = Config?.TokenizerHash is { } hash && File.Exists(Path.Combine(beside, "model.safetensors"))
            && WeightsHash.ComputeForTokenizer(beside) == hash;
        string[] places = own is null ? [] : [Path.Combine(own, "tokenizer")];
        return isRecorded ? [.. places, beside] : places;
    }

    public void Dispose() => Weights.Dispose();

    private void RequireSame(int? imageSize, int? side, int? stated)
    {
        if (side is not null && stated is not null && side != stated)
        {
            throw new ConfigException(
                $"ImageSize {imageSize} means a grid of {side}x{side}, but '{Weights.Path}' says {stated}x{stated}; leave ImageSize out.")
            { Settings = ["ImageSize"] };
        }
    }

    /// <summary>The folder of a file with one of the names that folders of models have.</summary>
    private static string? FolderOf(string file)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(file))!;
        return new[]
        {
            WeightsKind.Model, WeightsKind.Ema, WeightsKind.Auto,
        }.Any(kind => WeightsFile.FindIn(folder, kind) == Path.GetFullPath(file)) ? folder : null;
    }

    private static CheckpointConfig? ReadConfig(string folder)
    {
        // Tokenizers and models of other programs have a config.json of their own kind.
        var path = Path.Combine(folder, "config.json");
        return File.Exists(path) && IsOurs(path) ? ConfigJson.Read(path, ConfigJson.Default.CheckpointConfig) : null;
    }

    private static bool IsOurs(string path)
    {
        try
        {
            using var json = JsonDocument.Parse(
                TextFile.ReadUtf8(path, TextFile.MostBytesOfJson), new JsonDocumentOptions
                {
                    CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true, AllowDuplicateProperties = false,
                });
            return json.RootElement is { ValueKind: JsonValueKind.Object } root && root.TryGetProperty("model", out var model)
                && model.ValueKind == JsonValueKind.Object;
        }
        catch (JsonException e)
        {
            throw new DataFormatException($"{path} is not valid JSON: {e.Message}", e);
        }
    }

    private static long? ReadStep(string folder)
    {
        var path = Path.Combine(folder, "state.json");
        return File.Exists(path) ? ConfigJson.Read(path, ConfigJson.Default.RunState).Step : null;
    }
}
