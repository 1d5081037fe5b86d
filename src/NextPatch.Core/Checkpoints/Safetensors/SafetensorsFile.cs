using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.Safetensors;

/// <summary>safetensors files: an 8-byte length, a JSON header of that length, then the tensors end to end.</summary>
/// <remarks>Source: the format section of huggingface/safetensors. Reading is as strict as the reference reader.</remarks>
public static class SafetensorsFile
{
    private const int LengthBytes = 8;
    private const int MaxHeaderBytes = 100_000_000;

    /// <summary>Opens a file, or all files of a set by its <c>.index.json</c>, without reading the tensors.</summary>
    /// <exception cref="DataFormatException">Damaged, or not a safetensors file.</exception>
    public static TensorFile Open(string path)
        => SafetensorsIndex.IsIndex(path) ? SafetensorsIndex.Open(path) : OpenOne(path);

    /// <summary>Reads every tensor into memory, in the order of the header.</summary>
    /// <exception cref="DataFormatException">The file is damaged or not a safetensors file.</exception>
    public static IReadOnlyDictionary<string, HostTensor> Read(string path)
    {
        using var file = Open(path);
        return file.ReadAll();
    }

    /// <summary>Reads every tensor of a file that lies in memory.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="name">What messages call it.</param>
    /// <exception cref="DataFormatException">The file is damaged or not a safetensors file.</exception>
    internal static IReadOnlyDictionary<string, StoredTensor> Read(byte[] file, string name)
    {
        using var stream = new MemoryStream(file);
        return ReadHeader(stream, name).Entries.ToDictionary(
            e => e.Key,
            e => StoredTensor.From(
                new HostTensor(e.Value.Type, e.Value.Shape, file.AsSpan((int)e.Value.Offset, (int)e.Value.ByteCount).ToArray())));
    }

    /// <summary>Reads and validates the header only; costs nothing for large files.</summary>
    /// <exception cref="DataFormatException">The file is damaged or not a safetensors file.</exception>
    public static SafetensorsHeader ReadHeader(string path)
    {
        using var stream = StoredFile.OpenRead(path);
        return ReadHeader(stream, path);
    }

    /// <summary>Writes tensors in the order given; the file appears once it is complete on disk. The same input gives the same bytes.</summary>
    /// <param name="path">Replaced if it exists.</param>
    /// <param name="tensors">Tensors by name; names must differ.</param>
    /// <param name="metadata">Free text pairs for "__metadata__"; null or empty writes none.</param>
    /// <exception cref="ArgumentException">Two tensors share a name, or one has the reserved name.</exception>
    /// <exception cref="NextPatchException">The file cannot be written.</exception>
    public static void Write(
        string path, IEnumerable<KeyValuePair<string, StoredTensor>> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var list = tensors.ToList();
        var header = HeaderBytes(list, metadata);
        StoredFile.Replace(path, stream =>
        {
            Span<byte> length = stackalloc byte[LengthBytes];
            BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
            stream.Write(length);
            stream.Write(header);
            foreach (var (_, tensor) in list)
            {
                tensor.WriteTo(stream.Write);
            }
        });
    }

    /// <inheritdoc cref="Write(string, IEnumerable{KeyValuePair{string, StoredTensor}}, IReadOnlyDictionary{string, string}?)"/>
    [OverloadResolutionPriority(1)]
    public static void Write(string path, IEnumerable<KeyValuePair<string, HostTensor>> tensors, IReadOnlyDictionary<string, string>? metadata = null)
        => Write(path, tensors.Select(pair => KeyValuePair.Create(pair.Key, StoredTensor.From(pair.Value))), metadata);

    private static TensorFile OpenOne(string path)
    {
        var file = new MappedFile(path);
        try
        {
            using var stream = file.OpenStream(0, file.Length);
            var header = ReadHeader(stream, path);
            var tensors = header.Entries.ToDictionary(
                e => e.Key, e => (StoredTensor)new LaidOutTensor(file, new Lazy<long>(e.Value.Offset), e.Value.Type, e.Value.Shape));
            return new TensorFile(path, tensors, header.Metadata, [file]);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private static SafetensorsHeader ReadHeader(Stream stream, string path)
    {
        var length = BinaryPrimitives.ReadUInt64LittleEndian(StoredFile.ReadBytes(stream, LengthBytes, path, "the safetensors header"));
        if (length > MaxHeaderBytes)
        {
            throw new DataFormatException(
                $"'{path}' is not a safetensors file: it declares a header of {length} bytes, at most {MaxHeaderBytes} are "
                + $"allowed.{FileContents.Remark(path)}");
        }

        var json = StoredFile.ReadBytes(stream, (int)length, path, "the safetensors header");
        return new SafetensorsHeaderParser(path, LengthBytes + (long)length).Parse(json, stream.Length);
    }

    private static byte[] HeaderBytes(List<KeyValuePair<string, StoredTensor>> tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            WriteMetadata(json, metadata);
            var names = new HashSet<string> { "__metadata__" };
            var offset = 0L;
            foreach (var (name, tensor) in tensors)
            {
                if (!names.Add(name))
                {
                    throw new ArgumentException($"The tensor name '{name}' is used twice or reserved.", nameof(tensors));
                }

                WriteEntry(json, name, tensor, offset);
                offset += tensor.ByteCount;
            }

            json.WriteEndObject();
        }

        // The reference writer pads with spaces so that the data start at a multiple of eight; what is used in place wants whole cache lines.
        var alignment = metadata?.ContainsKey(Int8Panels.MetadataKey) == true ? Int8Panels.Alignment : 8;
        while ((LengthBytes + buffer.Length) % alignment != 0)
        {
            buffer.WriteByte((byte)' ');
        }

        return buffer.ToArray();
    }

    private static void WriteMetadata(Utf8JsonWriter json, IReadOnlyDictionary<string, string>? metadata)
    {
        if (metadata is not { Count: > 0 })
        {
            return;
        }

        // Sorted, because the order of a dictionary is not part of its value.
        json.WriteStartObject("__metadata__");
        foreach (var (key, value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            json.WriteString(key, value);
        }

        json.WriteEndObject();
    }

    private static void WriteEntry(Utf8JsonWriter json, string name, StoredTensor tensor, long offset)
    {
        json.WriteStartObject(name);
        json.WriteString("dtype", SafetensorsHeaderParser.NameOf(tensor.Type));
        json.WriteStartArray("shape");
        foreach (var extent in tensor.Shape)
        {
            json.WriteNumberValue(extent);
        }

        json.WriteEndArray();
        json.WriteStartArray("data_offsets");
        json.WriteNumberValue(offset);
        json.WriteNumberValue(offset + tensor.ByteCount);
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
