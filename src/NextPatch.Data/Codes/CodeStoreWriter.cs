using System.Runtime.InteropServices;
using System.Text.Json;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;

namespace NextPatch.Data.Codes;

/// <summary>Writes the files of a <see cref="CodeStore"/>.</summary>
internal static class CodeStoreWriter
{
    private const int LargestShortVocabulary = 1 << 16;

    public static void Write(string folder, CodeManifest manifest, ReadOnlySpan<int> codes, ReadOnlySpan<int> labels)
    {
        Check(manifest, codes, labels);
        try
        {
            Directory.CreateDirectory(folder);
            var codesPath = Path.Combine(folder, CodeStore.CodesName);
            var labelsPath = Path.Combine(folder, CodeStore.LabelsName);
            var manifestPath = Path.Combine(folder, CodeStore.ManifestName);
            WriteCodes(Temporary(codesPath), manifest, codes);
            WriteLabels(Temporary(labelsPath), labels);
            using (var stream = File.Create(Temporary(manifestPath)))
            {
                var hashes = new SortedDictionary<string, string>(StringComparer.Ordinal)
                {
                    [CodeStore.CodesName] = CodeHashes.Of(Temporary(codesPath)), [CodeStore.LabelsName] = CodeHashes.Of(Temporary(labelsPath)),
                };
                JsonSerializer.Serialize(stream, manifest with { FileHashes = hashes }, CodeManifestJson.Default.CodeManifest);
                stream.Flush(flushToDisk: true);
            }

            foreach (var path in (ReadOnlySpan<string>)[codesPath, labelsPath, manifestPath])
            {
                File.Move(Temporary(path), path, overwrite: true);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NextPatchException($"Code folder '{folder}' cannot be written: {e.Message}", e);
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
                $"{manifest.Count} images x {manifest.Augmentations} variants of {manifest.GridSide}x{manifest.GridSide} need {expected} codes but got {codes.Length}.",
                nameof(codes));
        }

        var bad = codes.IndexOfAnyExceptInRange(0, manifest.VocabularySize - 1);
        if (bad >= 0)
        {
            throw new ArgumentException($"Code {codes[bad]} at element {bad} does not fit the vocabulary of {manifest.VocabularySize}.", nameof(codes));
        }
    }

    private static string Temporary(string path) => path + ".tmp";

    private static void WriteCodes(string path, CodeManifest manifest, ReadOnlySpan<int> codes)
    {
        var small = manifest.VocabularySize <= LargestShortVocabulary;
        using var stream = File.Create(path);
        NpyFile.WriteHeader(
            stream,
            small ? ElementType.UInt16 : ElementType.Int32,
            [manifest.Count, manifest.Augmentations, (long)manifest.GridSide * manifest.GridSide]);
        if (small)
        {
            var part = new ushort[Math.Min(codes.Length, 1 << 16)];
            for (var rest = codes; rest.Length > 0; rest = rest[Math.Min(part.Length, rest.Length)..])
            {
                var count = Math.Min(part.Length, rest.Length);
                for (var i = 0; i < count; i++)
                {
                    part[i] = (ushort)rest[i];
                }

                stream.Write(MemoryMarshal.AsBytes(part.AsSpan(0, count)));
            }
        }
        else
        {
            for (var rest = codes; rest.Length > 0; rest = rest[Math.Min(1 << 20, rest.Length)..])
            {
                stream.Write(MemoryMarshal.AsBytes(rest[..Math.Min(1 << 20, rest.Length)]));
            }
        }

        stream.Flush(flushToDisk: true);
    }

    private static void WriteLabels(string path, ReadOnlySpan<int> labels)
    {
        using var stream = File.Create(path);
        NpyFile.Write(stream, HostTensor.From(ElementType.Int32, [labels.Length], labels));
        stream.Flush(flushToDisk: true);
    }
}
