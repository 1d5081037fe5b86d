using System.IO.Compression;
using System.Text;

namespace NextPatch.Core.Tests.Checkpoints.Pickle;

/// <summary>Writes pickles that torch.save would and would not write.</summary>
internal sealed class PickleBuilder
{
    private readonly List<byte> _bytes = [0x80, 2];

    public byte[] Bytes() => [.. _bytes, (byte)'.'];

    public PickleBuilder Raw(params ReadOnlySpan<byte> bytes)
    {
        _bytes.AddRange(bytes);
        return this;
    }

    public PickleBuilder Dictionary() => Raw((byte)'}');

    public PickleBuilder SetItem() => Raw((byte)'s');

    public PickleBuilder Text(string text) => Raw([(byte)'X', .. BitConverter.GetBytes(text.Length), .. Encoding.ASCII.GetBytes(text)]);

    public PickleBuilder Integer(long value) => Raw([0x8A, 8, .. BitConverter.GetBytes(value)]);

    public PickleBuilder Global(string module, string name) => Raw(Encoding.ASCII.GetBytes($"c{module}\n{name}\n"));

    public PickleBuilder Tuple(params long[] values)
    {
        Raw((byte)'(');
        foreach (var value in values)
        {
            Integer(value);
        }

        return Raw((byte)'t');
    }

    /// <summary>torch._utils._rebuild_tensor_v2 of a float storage.</summary>
    public PickleBuilder Tensor(string key, long elements, long offset, long[] shape, long[] strides)
    {
        Global("torch._utils", "_rebuild_tensor_v2").Raw((byte)'(', (byte)'(').Text("storage").Global("torch", "FloatStorage").Text(key).Text("cpu")
            .Integer(elements);
        Raw((byte)'t', (byte)'Q').Integer(offset).Tuple(shape).Tuple(strides);
        return Raw([0x89, (byte)'}', (byte)'t', (byte)'R']);
    }

    /// <summary>A checkpoint archive around a pickle.</summary>
    public static byte[] Checkpoint(byte[] pickle, params (string Key, byte[] Bytes)[] storages)
    {
        using var buffer = new MemoryStream();
        using (var zip = new ZipArchive(buffer, ZipArchiveMode.Create))
        {
            foreach (var (name, bytes) in storages.Select(s => ($"data/{s.Key}", s.Bytes)).Prepend(("data.pkl", pickle)))
            {
                using var stream = zip.CreateEntry($"archive/{name}", CompressionLevel.NoCompression).Open();
                stream.Write(bytes);
            }
        }

        return buffer.ToArray();
    }
}
