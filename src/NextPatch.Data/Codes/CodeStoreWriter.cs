using NextPatch.Core.Files;

namespace NextPatch.Data.Codes;

/// <summary>Writes a whole <see cref="CodeStore"/> at once.</summary>
internal static class CodeStoreWriter
{
    public static void Write(
        string folder, CodeManifest manifest, ReadOnlySpan<int> codes, ReadOnlySpan<int> labels, ReadOnlySpan<int> captions)
    {
        Check(manifest, codes, labels);
        if (CodeStoreChecks.CaptionProblem(manifest, captions) is { } problem)
        {
            throw new ArgumentException(problem, nameof(captions));
        }

        try
        {
            Directory.CreateDirectory(folder);
            using var files = new StoreFiles(folder, manifest, count: 0);
            files.Append(codes, labels, captions);
            var names = files.Finish(manifest);
            File.Delete(Path.Combine(folder, CodeStore.CodesName)); // a store that is replaced must not be read with the new labels
            AtomicFile.Publish(folder, names);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw CodeFiles.CannotWrite(folder, e);
        }
    }

    private static void Check(CodeManifest manifest, ReadOnlySpan<int> codes, ReadOnlySpan<int> labels)
    {
        if (CodeStoreChecks.Problem(manifest, labels) is { } problem)
        {
            throw new ArgumentException(problem, nameof(manifest));
        }

        var expected = (long)manifest.Count * manifest.Augmentations * manifest.GridSide * manifest.GridSide;
        if (codes.Length != expected)
        {
            throw new ArgumentException(
                $"{manifest.Count} images x {manifest.Augmentations} variants of {manifest.GridSide}x{manifest.GridSide} need {expected} codes but "
                    + $"got {codes.Length}.",
                nameof(codes));
        }

        var bad = codes.IndexOfAnyExceptInRange(0, manifest.VocabularySize - 1);
        if (bad >= 0)
        {
            throw new ArgumentException(
                $"Code {codes[bad]} at element {bad} does not fit the vocabulary of {manifest.VocabularySize}.", nameof(codes));
        }
    }
}
