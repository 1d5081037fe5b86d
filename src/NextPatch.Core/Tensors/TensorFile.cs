namespace NextPatch.Core.Tensors;

/// <summary>An open file of named tensors: listed, and read one by one when asked.</summary>
public sealed class TensorFile : IDisposable
{
    private readonly IReadOnlyList<IDisposable> _owned;

    internal TensorFile(
        string path, IReadOnlyDictionary<string, StoredTensor> tensors, IReadOnlyDictionary<string, string> metadata,
        IReadOnlyList<IDisposable> owned)
    {
        Path = path;
        Tensors = tensors;
        Metadata = metadata;
        _owned = owned;
    }

    /// <summary>The file that was opened.</summary>
    public string Path { get; }

    /// <summary>Tensors by name, in the order of the file.</summary>
    public IReadOnlyDictionary<string, StoredTensor> Tensors { get; }

    /// <summary>Free text of the file; empty where the format has none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Reads every tensor into memory.</summary>
    /// <exception cref="DataFormatException">One is damaged or larger than 2 GiB.</exception>
    public IReadOnlyDictionary<string, HostTensor> ReadAll() => Tensors.ToDictionary(p => p.Key, p => p.Value.Read());

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var file in _owned)
        {
            file.Dispose();
        }
    }
}
