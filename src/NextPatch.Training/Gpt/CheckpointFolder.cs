using System.Globalization;
using System.Text.Json;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using NextPatch.Training.Optimization;

namespace NextPatch.Training.Gpt;

/// <summary>
/// The checkpoints of a run: <c>step-00001200/</c> with <c>config.json</c>, <c>model.safetensors</c>, <c>ema.safetensors</c>,
/// <c>optimizer.safetensors</c>, <c>state.json</c>, and the file <c>latest</c> that names the newest. A checkpoint is written under another
/// name, flushed to the disk, renamed, and only then named in <c>latest</c>: whatever kills the process, the last one stays whole.
/// </summary>
public sealed class CheckpointFolder
{
    private const string Prefix = "step-";
    private readonly string _run;

    /// <param name="run">The run's folder.</param>
    public CheckpointFolder(string run) => _run = run;

    /// <summary>Folder of the newest checkpoint, or null when there is none.</summary>
    /// <exception cref="DataFormatException">The file <c>latest</c> names a folder that is not there.</exception>
    public string? Latest
    {
        get
        {
            var pointer = Path.Combine(_run, "latest");
            if (!File.Exists(pointer))
            {
                return null;
            }

            var name = File.ReadAllText(pointer).Trim();
            var folder = Path.Combine(_run, name);
            return name.StartsWith(Prefix, StringComparison.Ordinal) && Directory.Exists(folder)
                ? folder
                : throw new DataFormatException($"{pointer} names the checkpoint '{name}', which is not in {_run}. Write the name of one that is there into the file: {string.Join(", ", All())}.");
        }
    }

    /// <summary>Resolves what a person gives as a model: a checkpoint folder, or a run folder whose newest checkpoint is meant.</summary>
    /// <exception cref="NextPatchException">Neither.</exception>
    public static string Resolve(string path)
    {
        if (File.Exists(Path.Combine(path, "model.safetensors")))
        {
            return path;
        }

        return Directory.Exists(path) && new CheckpointFolder(path).Latest is { } latest
            ? latest
            : throw new NextPatchException($"{path} is neither a checkpoint (a folder with config.json and model.safetensors) nor a run (a folder with the file 'latest').");
    }

    /// <summary>Writes a checkpoint and removes the oldest beyond <paramref name="keep"/>.</summary>
    /// <returns>Its folder.</returns>
    public string Save(CheckpointConfig config, RunState state, GptModel model, AdamW optimizer, int keep)
    {
        var name = Prefix + state.Step.ToString("D8", CultureInfo.InvariantCulture);
        var target = Path.Combine(_run, name);
        var temporary = Path.Combine(_run, ".writing-" + name);
        DeleteIfThere(temporary);
        Directory.CreateDirectory(temporary);
        File.WriteAllText(Path.Combine(temporary, "config.json"), JsonSerializer.Serialize(config, ConfigJson.Default.CheckpointConfig));
        SafetensorsFile.Write(Path.Combine(temporary, "model.safetensors"), StateLoader.Capture(model));
        if (optimizer.HasAverage)
        {
            SafetensorsFile.Write(Path.Combine(temporary, "ema.safetensors"), optimizer.CaptureAverage());
        }

        SafetensorsFile.Write(Path.Combine(temporary, "optimizer.safetensors"), optimizer.CaptureMoments());
        File.WriteAllText(Path.Combine(temporary, "state.json"), JsonSerializer.Serialize(state, ConfigJson.Default.RunState));
        foreach (var file in Directory.GetFiles(temporary))
        {
            Flush(file);
        }

        DeleteIfThere(target);
        Directory.Move(temporary, target);
        WriteAtomically(Path.Combine(_run, "latest"), name + "\n");
        foreach (var old in All().SkipLast(Math.Max(keep, 1)))
        {
            Directory.Delete(Path.Combine(_run, old), recursive: true);
        }

        return target;
    }

    /// <summary>Loads a checkpoint into a model and its optimiser.</summary>
    /// <returns>Where the run stood.</returns>
    public static RunState Load(string folder, GptModel model, AdamW optimizer)
    {
        var state = ConfigJson.Read(Path.Combine(folder, "state.json"), ConfigJson.Default.RunState);
        var weights = Path.Combine(folder, "model.safetensors");
        StateLoader.Load(model, SafetensorsFile.Read(weights), weights);
        var moments = Path.Combine(folder, "optimizer.safetensors");
        optimizer.Restore(SafetensorsFile.Read(moments), optimizer.HasAverage ? SafetensorsFile.Read(Path.Combine(folder, "ema.safetensors")) : null, state.Step, moments);
        return state;
    }

    /// <summary>Names of the checkpoints, oldest first.</summary>
    public IReadOnlyList<string> All() => Directory.Exists(_run)
        ? [.. Directory.GetDirectories(_run, Prefix + "*").Select(d => Path.GetFileName(d)).Order(StringComparer.Ordinal)]
        : [];

    private static void WriteAtomically(string path, string text)
    {
        var temporary = path + ".writing";
        File.WriteAllText(temporary, text);
        Flush(temporary);
        File.Move(temporary, path, overwrite: true);
    }

    private static void Flush(string path)
    {
        using var handle = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
        RandomAccess.FlushToDisk(handle);
    }

    private static void DeleteIfThere(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
