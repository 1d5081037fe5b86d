using System.Globalization;
using NextPatch.Core.Files;

namespace NextPatch.Core.Checkpoints;

/// <summary>
/// The checkpoints of a run: <c>step-00001200/</c> with <c>config.json</c>, <c>model.safetensors</c>, <c>optimizer.safetensors</c>,
/// <c>state.json</c>, what else the run has, <c>SHA256SUMS</c>; and the file <c>latest</c> that names the newest. A checkpoint is
/// written under another name, flushed to the disk, renamed, and only then named in <c>latest</c>: whatever kills the process, the last
/// one stays whole.
/// </summary>
public sealed class CheckpointFolder
{
    private const string Prefix = "step-";
    private const string Writing = ".writing-";
    private const string Replaced = ".replaced-";
    private const string Removing = ".removing-";
    private readonly string _run;

    /// <param name="run">The run's folder.</param>
    public CheckpointFolder(string run) => _run = run;

    /// <summary>Folder of the newest checkpoint, or null when there is none.</summary>
    /// <exception cref="DataFormatException">The file <c>latest</c> names a folder that is not there.</exception>
    public string? Latest
    {
        get
        {
            if (Pointer() is not { } pointer)
            {
                return null;
            }

            return All().Contains(pointer)
                ? At(pointer)
                : throw new DataFormatException(
                    $"{At("latest")} names the checkpoint '{pointer}', which is not in {_run}. Write the name of one that is there into the file: "
                    + $"{string.Join(", ", All())}.");
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
            : throw new NextPatchException(
                $"{path} is neither a checkpoint (a folder with config.json and model.safetensors) nor a run (a folder with the file 'latest').");
    }

    /// <summary>Names of the checkpoints, oldest first.</summary>
    public IReadOnlyList<string> All() => Directory.Exists(_run)
        ? [.. Directory.GetDirectories(_run, Prefix + "*").Select(d => Path.GetFileName(d)).Order(StringComparer.Ordinal)]
        : [];

    /// <summary>Writes a checkpoint and removes the oldest beyond <paramref name="keep"/>.</summary>
    /// <param name="step">Steps done.</param>
    /// <param name="write">Writes the files into the folder it is given.</param>
    /// <param name="keep">How many stay.</param>
    /// <returns>Its folder.</returns>
    /// <exception cref="IOException">The disk did not take it; nothing of it is left, and the last checkpoint is as it was.</exception>
    public string Save(long step, Action<string> write, int keep)
    {
        var name = Prefix + step.ToString("D8", CultureInfo.InvariantCulture);
        try
        {
            Write(At(Writing + name), write);
            Publish(name);
        }
        catch
        {
            Try(() => DeleteIfThere(At(Writing + name))); // makes room for metrics and for the next try
            throw;
        }

        // Later ones are of a session before a step back; `latest` names this one.
        foreach (var old in All().Where(other => string.CompareOrdinal(other, name) <= 0).SkipLast(Math.Max(keep, 1)))
        {
            Try(() => Directory.Move(At(old), At(Removing + old)));
            Try(() => DeleteIfThere(At(Removing + old)));
        }

        return At(name);
    }

    /// <summary>Finishes or removes what a killed run left half done. The folder must be locked.</summary>
    /// <returns>Names of the half-written checkpoints that were removed.</returns>
    internal IReadOnlyList<string> CleanUp()
    {
        foreach (var folder in Directory.GetDirectories(_run, Replaced + "*"))
        {
            var original = At(Path.GetFileName(folder)[Replaced.Length..]);
            if (!Directory.Exists(original))
            {
                Directory.Move(folder, original);
            }
        }

        string[] halfWritten = [.. Directory.GetDirectories(_run, Writing + "*")];
        foreach (var folder in halfWritten.Concat(Directory.GetDirectories(_run, Replaced + "*")).Concat(
            Directory.GetDirectories(_run, Removing + "*")))
        {
            Directory.Delete(folder, recursive: true);
        }

        foreach (var name in All())
        {
            CheckpointUpdate.Finish(At(name));
        }

        File.Delete(At("latest.writing"));
        return [.. halfWritten.Select(f => Path.GetFileName(f))];
    }

    /// <summary>The newest checkpoint whose files are as they were written, counted from the one that <c>latest</c> names.</summary>
    /// <returns>Its name, or null when there are no checkpoints; and what is wrong with those that come before it.</returns>
    /// <exception cref="DataFormatException">There are checkpoints and all are damaged.</exception>
    internal (string? Name, IReadOnlyList<(string Name, string Problem)> Damaged) FindIntact()
    {
        var pointer = Pointer();
        var damaged = new List<(string, string)>();
        if (pointer is not null && !All().Contains(pointer))
        {
            damaged.Add((pointer, "the file 'latest' names it, but it is not there"));
        }

        foreach (var name in All().Reverse().OrderBy(n => pointer is not null && string.CompareOrdinal(n, pointer) > 0))
        {
            if (CheckpointSums.ProblemOf(At(name)) is not { } problem)
            {
                return (name, damaged);
            }

            damaged.Add((name, problem));
        }

        return damaged.Count == 0
            ? (null, damaged)
            : throw new DataFormatException(
                $"No checkpoint in {_run} is whole, so the run cannot be "
                + $"resumed:{string.Concat(damaged.Select(d => $"{Environment.NewLine}  {d.Item1}: {d.Item2}"))}{Environment.NewLine}Restore one "
                + $"from a copy, or start anew with another Output.")
            { Settings = ["Output"] };
    }

    /// <summary>Makes an older checkpoint the newest and moves the damaged ones out of the way, so that they count no more.</summary>
    /// <returns>The new names of the damaged ones.</returns>
    internal IReadOnlyList<string> FallBack(string name, IEnumerable<string> damaged)
    {
        PointTo(name);
        var renamed = new List<string>();
        foreach (var bad in damaged.Where(bad => Directory.Exists(At(bad))))
        {
            DeleteIfThere(At("damaged-" + bad));
            Directory.Move(At(bad), At("damaged-" + bad));
            renamed.Add("damaged-" + bad);
        }

        return renamed;
    }

    internal string At(string name) => Path.Combine(_run, name);

    private static void Write(string folder, Action<string> write)
    {
        DeleteIfThere(folder);
        Directory.CreateDirectory(folder);
        write(folder);
        CheckpointSums.Write(folder);
        foreach (var file in Directory.GetFiles(folder))
        {
            AtomicFile.Flush(file);
        }
    }

    private void Publish(string name)
    {
        if (Directory.Exists(At(name)))
        {
            // `latest` may name it: it goes only after the new one stands in its place.
            DeleteIfThere(At(Replaced + name));
            Directory.Move(At(name), At(Replaced + name));
        }

        Directory.Move(At(Writing + name), At(name));
        PointTo(name);
        Try(() => DeleteIfThere(At(Replaced + name)));
    }

    /// <summary>What the file <c>latest</c> says; null where it says nothing that could be a checkpoint.</summary>
    private string? Pointer()
    {
        var name = File.Exists(At("latest")) ? File.ReadAllText(At("latest")).Trim() : "";
        return name.Length == 0 ? null : name;
    }

    private void PointTo(string name) => AtomicFile.WriteText(At("latest"), name + "\n", At("latest.writing"));

    private static void DeleteIfThere(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>For tidying, which the next start repeats.</summary>
    private static void Try(Action tidy)
    {
        try
        {
            tidy();
        }
        catch (Exception e) when (DiskTrouble.Is(e))
        {
        }
    }
}
