using System.Text.Json;
using System.Text.Json.Nodes;
using NextPatch.Core;
using NextPatch.Core.Files;
using NextPatch.Data.Sources;

namespace NextPatch.Data.Codes;

// Shape letters used in this file: n images in this call, A stored variants of an image, T codes of an image.

/// <summary>
/// Writes a folder of codes part by part. A writer that was killed continues after its last <see cref="Save"/> and ends with the same bytes;
/// before <see cref="Publish"/> the folder is not taken for one of codes.
/// </summary>
internal sealed class CodeAppender : IDisposable
{
    private const string LockName = ".encoding.lock";

    private readonly string _folder;
    private readonly CodeManifest _planned;
    private readonly FolderLock _lock;
    private CodeJournal _journal;
    private CodeFiles? _files;

    private CodeAppender(string folder, CodeManifest planned, CodeJournal journal, FolderLock @lock)
        => (_folder, _planned, _journal, _lock) = (folder, planned, journal, @lock);

    /// <summary>What is done.</summary>
    public AppendProgress Progress => _journal.Progress;

    /// <summary>Whether nothing is left to do.</summary>
    public bool IsComplete => _journal.Finished is not null;

    /// <summary>Begins a folder of codes, or continues one.</summary>
    /// <param name="folder">Made if it is missing.</param>
    /// <param name="planned">What the codes are. <see cref="CodeManifest.Count"/> is the largest number of images there may be; counts are set by
    /// <see cref="Publish"/>.</param>
    /// <param name="layout">How they are stored.</param>
    /// <param name="settings">All that decides the codes, by name. A folder that was begun with others is refused.</param>
    /// <exception cref="ConfigException">The folder was begun with other settings, or holds codes of which nothing says how they were
    /// made.</exception>
    /// <exception cref="NextPatchException">Another writer is at work in the folder, or it cannot be written.</exception>
    public static CodeAppender Open(string folder, CodeManifest planned, CodeLayout layout, IReadOnlyDictionary<string, string> settings)
    {
        var wanted = new CodeJournal
        {
            Layout = layout, Settings = new SortedDictionary<string, string>(settings.ToDictionary(), StringComparer.Ordinal),
        };
        var @lock = Lock(folder);
        try
        {
            var found = ReadJournal(folder);
            if (found is not null)
            {
                RequireSame(folder, found, wanted);
            }
            else if (CodeStore.IsCodeFolder(folder))
            {
                throw new ConfigException(
                    $"'{folder}' already holds codes, and no {CodeJournal.Name} says how they were made. Choose another folder, or remove this one.");
            }

            var appender = new CodeAppender(folder, planned, found ?? wanted, @lock);
            appender.Begin();
            return appender;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            @lock.Dispose();
            throw CodeFiles.CannotWrite(folder, e);
        }
        catch
        {
            @lock.Dispose();
            throw;
        }
    }

    /// <summary>Adds images; they are kept only from the next <see cref="Save"/> on.</summary>
    /// <param name="codes">[n, A, T], each below the vocabulary size.</param>
    /// <param name="labels">[n].</param>
    /// <param name="captions">Lines of their captions, [n]; empty where the manifest names no captions.</param>
    /// <param name="after">What is done with them.</param>
    /// <exception cref="ArgumentException">Codes or labels do not fit the manifest.</exception>
    public void Append(ReadOnlySpan<int> codes, ReadOnlySpan<int> labels, ReadOnlySpan<int> captions, AppendProgress after)
    {
        var perImage = _planned.Augmentations * _planned.GridSide * _planned.GridSide;
        if (codes.Length != labels.Length * perImage || codes.IndexOfAnyExceptInRange(0, _planned.VocabularySize - 1) >= 0
            || labels.IndexOfAnyExceptInRange(0, _planned.ClassNames.Count - 1) >= 0 || after.Count != Progress.Count + labels.Length
                || after.Count > _planned.Count || captions.Length != (_planned.Captions is null ? 0 : labels.Length)
                || captions.IndexOfAnyExceptInRange(-1, (int)Math.Min(int.MaxValue, (_planned.Captions?.Count ?? 0) - 1)) >= 0)
        {
            throw new ArgumentException(
                $"{codes.Length} codes and {labels.Length} labels do not fit {perImage} codes per image below {_planned.VocabularySize}, "
                + $"{_planned.ClassNames.Count} classes and image {after.Count} of {_planned.Count}.", nameof(codes));
        }

        try
        {
            _files!.Append(codes, labels, captions);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw CodeFiles.CannotWrite(_folder, e);
        }

        _journal = _journal with { Progress = after };
    }

    /// <summary>Returns when the disk has all that was added; a later run continues here.</summary>
    public void Save() => Try(() =>
    {
        _files!.Flush();
        WriteJournal();
    });

    /// <summary>Completes the folder and makes it one of codes.</summary>
    /// <param name="isPart">Whether it is a part of a larger one, which may be without images to train on, or without any.</param>
    /// <exception cref="NextPatchException">There is no image to train on, or the folder cannot be written.</exception>
    public void Publish(bool isPart = false) => Try(() =>
    {
        Save();
        var isTrainable = Progress.Count > Progress.HeldOutCount;
        var manifest = _planned with { Count = Progress.Count, HeldOutCount = isTrainable ? Progress.HeldOutCount : 0 };
        if (!isTrainable && !isPart)
        {
            throw new NextPatchException(
                $"None of the images to train on could be read, so '{_folder}' is not made a folder of codes; {Progress.SkippedCount} were left "
                + $"out.");
        }

        _journal = _journal with { Finished = _files!.Finish(manifest) };
        WriteJournal();
        AtomicFile.Publish(_folder, _journal.Finished);
    });

    public void Dispose()
    {
        _files?.Dispose();
        _lock.Dispose();
    }

    private void Begin()
    {
        if (_journal.Finished is { } names)
        {
            AtomicFile.Publish(_folder, names); // the writer may have been killed in the middle of this
        }
        else
        {
            _files = _journal.Layout == CodeLayout.Store
                ? new StoreFiles(_folder, _planned, Progress.Count)
                : new LlamaGenCodeFiles(_folder, _planned, Progress.Count);
            WriteJournal();
        }
    }

    private void WriteJournal() => AtomicFile.Write(
        Path.Combine(_folder, CodeJournal.Name), stream => JsonSerializer.Serialize(stream, _journal, CodeManifestJson.Default.CodeJournal));

    private void Try(Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw CodeFiles.CannotWrite(_folder, e);
        }
    }

    private static CodeJournal? ReadJournal(string folder)
    {
        var path = Path.Combine(folder, CodeJournal.Name);
        try
        {
            return File.Exists(path)
                ? Checked(JsonSerializer.Deserialize(TextFile.ReadUtf8(path, TextFile.MostBytesOfJson), CodeManifestJson.Default.CodeJournal), path)
                : null;
        }
        catch (JsonException e)
        {
            throw new DataFormatException(
                $"'{path}' does not say how the codes beside it were begun: {e.Message} Remove the folder and encode again.", e);
        }
    }

    /// <summary>A journal whose names are files and folders beside it, and whose counts can be.</summary>
    private static CodeJournal? Checked(CodeJournal? journal, string path)
    {
        if (journal is null || !Enum.IsDefined(journal.Layout) || journal.Progress is not { Next: >= 0, Count: >= 0, SkippedCount: >= 0 } progress
            || progress.Count > progress.Next || progress.HeldOutCount < 0 || progress.HeldOutCount > progress.Count
            || progress.Skipped is not { } skipped || skipped.Any(bad => bad is null))
        {
            throw new DataFormatException(
                $"'{path}' does not say how the codes beside it were begun: its counts or layout cannot be. Remove the folder and encode again.");
        }

        foreach (var name in journal.Finished ?? [])
        {
            PathComponent.Require(name, path);
        }

        return journal;
    }

    private static void RequireSame(string folder, CodeJournal found, CodeJournal wanted)
    {
        // Codes begun before engines were recorded are continued: which one began them is not known.
        var differences = SettingsComparison.Differences(Settings(found), Settings(wanted))
            .Where(d => d.Name != CodeJournal.Engine || d.Stored is not null).ToList();
        if (differences.Count > 0)
        {
            var listed = differences.Select(d => $"{d.Name}: {d.Stored?.ToString() ?? "nothing"} there, now {d.Given?.ToString() ?? "nothing"}");
            throw new ConfigException(
                $"'{folder}' was begun with other settings: {string.Join("; ", listed)}. "
                + "Use the same ones to continue, choose another folder, or remove this one.");
        }
    }

    private static JsonObject Settings(CodeJournal journal)
    {
        var settings = new JsonObject { ["layout"] = journal.Layout.ToString() };
        foreach (var (name, value) in journal.Settings)
        {
            settings[name] = value;
        }

        return settings;
    }

    private static FolderLock Lock(string folder)
    {
        try
        {
            Directory.CreateDirectory(folder);
            return FolderLock.Take(folder, LockName, leavesNothing: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw CodeFiles.CannotWrite(folder, e);
        }
    }
}

/// <summary>How far an unfinished folder of codes is.</summary>
internal sealed record AppendProgress
{
    /// <summary>Place in the source of the first image that is not done.</summary>
    public int Next { get; init; }

    /// <summary>Images whose codes are stored.</summary>
    public int Count { get; init; }

    /// <summary>How many of them, the last ones, are for validation.</summary>
    public int HeldOutCount { get; init; }

    /// <summary>Images left out because they could not be read.</summary>
    public int SkippedCount { get; init; }

    /// <summary>The first thousand of them.</summary>
    public IReadOnlyList<BadImage> Skipped { get; init; } = [];
}
