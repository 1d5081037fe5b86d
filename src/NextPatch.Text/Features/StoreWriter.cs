using System.Buffers.Binary;
using System.Runtime.InteropServices;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;

namespace NextPatch.Text.Features;

/// <summary>
/// Writes a <see cref="FeatureStore"/> from front to back. Until the end there are features.npy.partial and captions.partial, a length and a hash per
/// caption, written once its features are on the disk; a run that continues cuts both behind the last whole caption.
/// </summary>
internal sealed class StoreWriter : IFeatureWriter
{
    private const int RecordBytes = sizeof(int) + sizeof(ulong);
    private const int HeaderBytes = 128;

    private readonly string _folder;
    private readonly int _width;
    private readonly FileStream _features;
    private readonly FileStream _records;
    private readonly List<(int Length, ulong Hash)> _written = [];

    public StoreWriter(string folder, int width)
    {
        (_folder, _width) = (folder, width);
        _features = OpenPartial(FeatureStore.Features);
        _records = OpenPartial("captions");
        Resume();
    }

    public bool Has(int index, Caption caption) => index < _written.Count;

    public void Write(IReadOnlyList<EncodedCaption> captions)
    {
        foreach (var caption in captions)
        {
            _features.Write(MemoryMarshal.AsBytes(caption.Features.Span));
        }

        _features.Flush(flushToDisk: true);
        Span<byte> record = stackalloc byte[RecordBytes];
        foreach (var caption in captions)
        {
            var length = caption.Features.Length / _width;
            BinaryPrimitives.WriteInt32LittleEndian(record, length);
            BinaryPrimitives.WriteUInt64LittleEndian(record[sizeof(int)..], caption.Hash);
            _records.Write(record);
            _written.Add((length, caption.Hash));
        }

        _records.Flush();
    }

    public void Finish()
    {
        var offsets = new long[_written.Count + 1];
        for (var i = 0; i < _written.Count; i++)
        {
            offsets[i + 1] = offsets[i] + _written[i].Length;
        }

        _features.Position = 0;
        NpyFile.WriteHeader(_features, ElementType.Float32, [offsets[^1], _width]);
        System.Diagnostics.Debug.Assert(_features.Position == HeaderBytes);
        _features.Flush(flushToDisk: true);
        Dispose();
        Put(FeatureStore.Offsets, HostTensor.From<long>(ElementType.Int64, [offsets.Length], offsets));
        Put(FeatureStore.Hashes, HostTensor.From<ulong>(ElementType.UInt64, [_written.Count], [.. _written.Select(w => w.Hash)]));

        // The features' name says that all is whole, so it comes last.
        AtomicFile.Publish(_folder, [FeatureStore.Features]);
        File.Delete(AtomicFile.PartialOf(Path.Combine(_folder, "captions")));
    }

    public void Dispose()
    {
        _features.Dispose();
        _records.Dispose();
    }

    private FileStream OpenPartial(string name)
        => new(AtomicFile.PartialOf(Path.Combine(_folder, name)), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);

    private void Put(string name, HostTensor tensor) => StoredFile.Replace(Path.Combine(_folder, name), stream => NpyFile.Write(stream, tensor));

    private void Resume()
    {
        var end = (long)HeaderBytes;
        Span<byte> record = stackalloc byte[RecordBytes];
        while (_records.ReadAtLeast(record, RecordBytes, throwOnEndOfStream: false) == RecordBytes)
        {
            var length = BinaryPrimitives.ReadInt32LittleEndian(record);
            var next = end + ((long)length * _width * sizeof(float));
            if (length < 0 || next > _features.Length)
            {
                break;
            }

            end = next;
            _written.Add((length, BinaryPrimitives.ReadUInt64LittleEndian(record[sizeof(int)..])));
        }

        _features.SetLength(end);
        _records.SetLength((long)_written.Count * RecordBytes);
        _features.Position = end;
        _records.Position = _records.Length;
    }
}
