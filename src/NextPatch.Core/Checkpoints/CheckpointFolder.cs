using System.Globalization;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints;

/// <summary>
/// The checkpoints of a run: <c>step-00001200/</c> with <c>config.json</c>, <c>model.safetensors</c>, <c>optimizer.safetensors</c>,
/// <c>state.json</c>, what else the run has, <c>SHA256SUMS</c>; and the file <c>latest</c> that names the newest. A checkpoint is
/// written under another name, flushed to the disk, renamed, and only then named in <c>latest</c>: whatever kills the process, the last
/// one stays whole.
/// </summary>
/// <remarks>
/// Only folders of such names are touched, and only files that a checkpoint has are deleted: what else lies in a run is not the program's, and what
/// <c>latest</c> says is a name among those that are there, never a path.
/// </remarks>
public sealed class CheckpointFolder
{
    private const string Prefix = "step-";
    private const int Digits = 8;
    private const int MostDigits = 18;
    private const int LongestPointer = 1 << 12;
    private const string Writing = ".writing-";
    private const string Replaced = ".replaced-";
    private const string Removing = ".removing-";
    private readonly string _run;

    /// <param name="run">The run's folder.</param>
    public CheckpointFolder(string run) => _run = run;

    /// <summary>Folder of the newest checkpoint, or null when there is none.</summary>
    /// <exception cref="DataFormatException">The file <c>latest</c> names no checkpoint that is there.</exception>
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
                    $"{At("latest")} names the checkpoint {StoredFile.Quote(pointer)}, which is not in {_run}. Write the name of one that is there "
                    + $"into the file: {string.Join(", ", All())}.");
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
        ? [.. Directory.GetDirectories(_run, Prefix + "*").Select(d => Path.GetFileName(d)).Where(IsCheckpoint).OrderBy(StepOf)]
        : [];

    /// <summary>Writes a checkpoint and removes the oldest beyond <paramref name="keep"/>.</summary>
    /// <param name="step">Steps done.</param>
    /// <param name="write">Writes the files into the folder it is given.</param>
    /// <param name="keep">How many stay.</param>
    /// <returns>Its folder.</returns>
    /// <exception cref="IOException">The disk did not take it; nothing of it is left, and the last checkpoint is as it was.</exception>
    public string Save(long step, Action<string> write, int keep)
    {
        var name = Prefix + step.ToString($"D{Digits}", CultureInfo.InvariantCulture);
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
        foreach (var old in All().Where(other => StepOf(other) <= step).SkipLast(Math.Max(keep, 1)).Where(old => ForeignIn(At(old)) is null))
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
        foreach (var folder in Remains(Replaced))
        {
            var original = At(Path.GetFileName(folder)[Replaced.Length..]);
            if (!Directory.Exists(original))
            {
                Directory.Move(folder, original);
            }
        }

        string[] halfWritten = [.. Remains(Writing).Where(folder => ForeignIn(folder) is null)];
        foreach (var folder in halfWritten.Concat(Remains(Replaced)).Concat(Remains(Removing)).Where(folder => ForeignIn(folder) is null))
        {
            DeleteIfThere(folder);
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
            damaged.Add((StoredFile.Quote(pointer), "the file 'latest' names it, but it is not there"));
        }

        var last = pointer is not null && IsCheckpoint(pointer) ? StepOf(pointer) : long.MaxValue;
        foreach (var name in All().Reverse().OrderBy(n => StepOf(n) > last))
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
        foreach (var bad in damaged.Where(All().Contains))
        {
            var free = Enumerable.Range(1, int.MaxValue).Select(n => "damaged-" + bad + (n == 1 ? "" : $"-{n}")).First(to => !Path.Exists(At(to)));
            Directory.Move(At(bad), At(free));
            renamed.Add(free);
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

    private static bool IsCheckpoint(string name)
        => name.Length >= Prefix.Length + Digits && name.Length <= Prefix.Length + MostDigits && name.StartsWith(Prefix, StringComparison.Ordinal)
            && name.AsSpan(Prefix.Length).ContainsAnyExceptInRange('0', '9') is false;

    /// <summary>Steps of a checkpoint, by its name.</summary>
    internal static long StepOf(string name) => long.Parse(name.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture);

    /// <summary>What the file <c>latest</c> says, without the slash that completion adds; null where it says nothing.</summary>
    private string? Pointer()
    {
        var name = File.Exists(At("latest")) ? TextFile.Read(At("latest"), LongestPointer).Trim() : "";
        name = name.EndsWith('/') || name.EndsWith('\\') ? name[..^1] : name;
        return name.Length == 0 ? null : name;
    }

    /// <summary>Folders that a killed run left under one of the names between.</summary>
    private string[] Remains(string prefix)
        => [.. Directory.GetDirectories(_run, prefix + "*").Where(f => Path.GetFileName(f)[prefix.Length..] is var name
            && (IsCheckpoint(name) || name == "tokenizer"))];

    /// <summary>Something in a checkpoint's folder that no checkpoint has; null where there is nothing of the kind.</summary>
    private static string? ForeignIn(string folder)
    {
        var listed = File.Exists(Path.Combine(folder, CheckpointSums.FileName)) ? CheckpointSums.NamesIn(folder) : [];
        return Directory.EnumerateFileSystemEntries(folder).Select(e => Path.GetFileName(e)).FirstOrDefault(
            name => !listed.Contains(name) && !IsOwn(name, Path.Combine(folder, name)));
    }

    private static bool IsOwn(string name, string path)
    {
        var whole = name.EndsWith(".partial", StringComparison.Ordinal) ? name[..^".partial".Length] : name;
        return !Directory.Exists(path) && (whole == CheckpointSums.FileName || Path.GetExtension(whole) is ".json" or ".safetensors");
    }

    private void PointTo(string name) => AtomicFile.WriteText(At("latest"), name + "\n", At("latest.writing"));

    private static void DeleteIfThere(string folder)
    {
        if (!Directory.Exists(folder))
        {
            return;
        }

        if (ForeignIn(folder) is { } foreign)
        {
            throw new IOException($"The folder '{folder}' holds '{foreign}', which no checkpoint does, so it is not removed; move it elsewhere.");
        }

        Directory.Delete(folder, recursive: true);
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
