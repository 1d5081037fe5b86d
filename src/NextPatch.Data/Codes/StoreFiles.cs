using System.Runtime.InteropServices;
using System.Text.Json;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;

namespace NextPatch.Data.Codes;

/// <summary><c>codes.npy</c>, <c>labels.npy</c>, <c>captions.npy</c> and <c>dataset.json</c> as they grow.</summary>
/// <remarks>A header of NumPy's leaves room for the number of images to grow, so the true one can be written over the planned one.</remarks>
internal sealed class StoreFiles : CodeFiles
{
    private const int LargestShortVocabulary = 1 << 16;

    private readonly string _folder;
    private readonly CodeManifest _planned;
    private readonly ElementType _type;
    private readonly FileStream _codes;
    private readonly FileStream _labels;
    private readonly FileStream? _captions; // null where images have none

    /// <param name="folder">Exists.</param>
    /// <param name="planned">Its count may still change.</param>
    /// <param name="count">Images that are kept of an earlier run; what lies behind them is cut off.</param>
    /// <exception cref="DataFormatException">The files are shorter than that.</exception>
    public StoreFiles(string folder, CodeManifest planned, int count)
    {
        (_folder, _planned) = (folder, planned);
        _type = planned.VocabularySize <= LargestShortVocabulary ? ElementType.UInt16 : ElementType.Int32;
        _codes = Open(CodesPath, _type, CodesShape(planned.Count), (long)count * planned.Augmentations * planned.GridSide * planned.GridSide);
        try
        {
            _labels = Open(LabelsPath, ElementType.Int32, [planned.Count], count);
            _captions = planned.Captions is null ? null : Open(CaptionsPath, ElementType.Int32, [planned.Count], count);
        }
        catch
        {
            _codes.Dispose();
            _labels?.Dispose();
            throw;
        }
    }

    private string CodesPath => Path.Combine(_folder, CodeStore.CodesName);

    private string LabelsPath => Path.Combine(_folder, CodeStore.LabelsName);

    private string CaptionsPath => Path.Combine(_folder, CodeStore.CaptionsName);

    private string ManifestPath => Path.Combine(_folder, CodeStore.ManifestName);

    public override void Append(ReadOnlySpan<int> codes, ReadOnlySpan<int> labels, ReadOnlySpan<int> captions)
    {
        if (_type == ElementType.Int32)
        {
            _codes.Write(MemoryMarshal.AsBytes(codes));
        }
        else
        {
            Span<ushort> part = stackalloc ushort[1024];
            for (; codes.Length > 0; codes = codes[part.Length..])
            {
                part = part[..Math.Min(part.Length, codes.Length)];
                for (var i = 0; i < part.Length; i++)
                {
                    part[i] = (ushort)codes[i];
                }

                _codes.Write(MemoryMarshal.AsBytes(part));
            }
        }

        _labels.Write(MemoryMarshal.AsBytes(labels));
        _captions?.Write(MemoryMarshal.AsBytes(captions));
    }

    public override void Flush()
    {
        _codes.Flush(flushToDisk: true);
        _labels.Flush(flushToDisk: true);
        _captions?.Flush(flushToDisk: true);
    }

    public override IReadOnlyList<string> Finish(CodeManifest manifest)
    {
        Rewrite(_codes, _type, CodesShape(manifest.Count));
        Rewrite(_labels, ElementType.Int32, [manifest.Count]);
        if (_captions is not null)
        {
            Rewrite(_captions, ElementType.Int32, [manifest.Count]);
        }

        Flush();
        Dispose();
        var hashes = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            [CodeStore.CodesName] = FileHash.Compute(AtomicFile.PartialOf(CodesPath)),
            [CodeStore.LabelsName] = FileHash.Compute(AtomicFile.PartialOf(LabelsPath)),
        };
        if (_captions is not null)
        {
            hashes[CodeStore.CaptionsName] = FileHash.Compute(AtomicFile.PartialOf(CaptionsPath));
        }

        AtomicFile.WriteFlushed(
            AtomicFile.PartialOf(ManifestPath),
            stream => JsonSerializer.Serialize(stream, manifest with { FileHashes = hashes }, CodeManifestJson.Default.CodeManifest));
        return [.. hashes.Keys.Where(name => name != CodeStore.CodesName), CodeStore.ManifestName, CodeStore.CodesName];
    }

    public override void Dispose()
    {
        _codes.Dispose();
        _labels.Dispose();
        _captions?.Dispose();
    }

    private long[] CodesShape(int count) => [count, _planned.Augmentations, (long)_planned.GridSide * _planned.GridSide];

    private static FileStream Open(string path, ElementType type, long[] shape, long elements)
    {
        var mode = elements == 0 ? FileMode.Create : FileMode.Open;
        var stream = new FileStream(AtomicFile.PartialOf(path), mode, FileAccess.ReadWrite, FileShare.Read, bufferSize: 1 << 16);
        NpyFile.WriteHeader(stream, type, shape);
        var length = stream.Position + (elements * type.Size());
        if (stream.Length < length)
        {
            stream.Dispose();
            throw new DataFormatException(
                $"'{stream.Name}' has {stream.Length} bytes but {CodeJournal.Name} says that {length} were written. Remove the folder and encode "
                + $"again.");
        }

        stream.SetLength(length);
        stream.Position = length;
        return stream;
    }

    private static void Rewrite(FileStream stream, ElementType type, long[] shape)
    {
        stream.Position = 0;
        NpyFile.WriteHeader(stream, type, shape);
    }
}
