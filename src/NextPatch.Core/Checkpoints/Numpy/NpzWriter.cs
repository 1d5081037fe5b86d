using NextPatch.Core.Checkpoints.Zip;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.Numpy;

/// <summary>Writes a NumPy archive (.npz) member by member, uncompressed as numpy.savez does.</summary>
/// <remarks>
/// The same arrays give the same bytes: no clock enters the file. An archive whose last array is incomplete when the writer is
/// disposed is deleted, so that no partial file can be mistaken for a whole one.
/// </remarks>
public sealed class NpzWriter : IDisposable
{
    private readonly string _path;
    private readonly FileStream _stream;
    private readonly StoredZipWriter _archive;
    private readonly HashSet<string> _names = [];
    private NpzArrayStream? _current;

    /// <exception cref="NextPatchException">The file cannot be written.</exception>
    public NpzWriter(string path)
    {
        _path = path;
        _stream = StoredFile.Create(path);
        _archive = new StoredZipWriter(_stream);
    }

    /// <summary>Adds one array under a name (without <c>.npy</c>).</summary>
    public void Add(string name, HostTensor tensor) => Add(name, StoredTensor.From(tensor));

    /// <exception cref="NextPatchException">NumPy lacks the element type (bfloat16, float8).</exception>
    public void Add(string name, StoredTensor tensor)
    {
        using var stream = BeginArray(name, tensor.Type, tensor.Shape);
        tensor.WriteTo(stream.Write);
    }

    /// <summary>Starts an array whose elements the caller writes, C-ordered and little-endian, into the stream returned.</summary>
    /// <returns>A stream to dispose before the next array; it takes exactly the bytes that the shape needs.</returns>
    /// <exception cref="InvalidOperationException">The array before is unfinished, or the name is taken.</exception>
    public Stream BeginArray(string name, ElementType type, IReadOnlyList<long> shape)
    {
        if (_current is { IsWhole: false })
        {
            throw new InvalidOperationException($"Array '{name}' was begun in '{_path}' before the array before it was written whole.");
        }

        if (!_names.Add(name))
        {
            throw new InvalidOperationException($"'{_path}' already has an array named '{name}'.");
        }

        var header = NpyHeaderFormat.Write(type, shape);
        var length = StoredShape.ByteCount(name, type, shape);
        _archive.Begin(name + ".npy", header.Length + length);
        _archive.Write(header);
        return _current = new NpzArrayStream(_archive, name, length);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _current?.Dispose();
        if (_current is not { IsWhole: false })
        {
            _archive.Finish();
        }

        _stream.Dispose();
        if (_current is { IsWhole: false })
        {
            File.Delete(_path);
        }
    }
}
