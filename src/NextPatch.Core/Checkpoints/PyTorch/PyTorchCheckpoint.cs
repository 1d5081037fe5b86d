using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.PyTorch;

/// <summary>An open checkpoint of torch.save: its values are read, its tensors are read when asked.</summary>
public sealed class PyTorchCheckpoint : IDisposable
{
    private readonly IDisposable _container;

    internal PyTorchCheckpoint(string path, object? content, IDisposable container)
    {
        Path = path;
        Content = content;
        _container = container;
    }

    /// <summary>The file that was opened.</summary>
    public string Path { get; }

    /// <summary>As <see cref="PyTorchFile.Read"/> returns it, with <see cref="StoredTensor"/>s for tensors.</summary>
    public object? Content { get; }

    internal DataFormatException WithoutWeights(IEnumerable<string> keys) => new(
        $"'{Path}' holds no weights under {string.Join(", ", keys.Distinct().Select(key => key.Length == 0 ? "its top" : $"'{key}'"))}; its keys "
            + $"are " +
        $"{StoredFile.Quote(string.Join(", ", (Content as Dictionary<object, object?>)?.Keys ?? (IEnumerable<object>)[]))}.");

    /// <inheritdoc/>
    public void Dispose() => _container.Dispose();
}
