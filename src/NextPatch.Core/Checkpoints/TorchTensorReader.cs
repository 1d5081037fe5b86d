namespace NextPatch.Core.Checkpoints;

/// <summary>Replaces the tensors that a pickle describes by their values.</summary>
internal sealed class TorchTensorReader
{
    private readonly ITorchContainer _container;
    private readonly Dictionary<string, ReadOnlyMemory<byte>> _storages = [];
    private readonly Dictionary<TorchTensor, HostTensor> _tensors = new(ReferenceEqualityComparer.Instance);
    private readonly HashSet<object> _seen = new(ReferenceEqualityComparer.Instance);
    private readonly Stack<object> _unvisited = new();

    public TorchTensorReader(ITorchContainer container) => _container = container;

    /// <summary>Reads every tensor that <paramref name="root"/> holds, at any depth. Containers stay the same objects.</summary>
    /// <remarks>Without recursion: a hostile pickle nests as deeply as it likes, or in circles.</remarks>
    public object? ReadAll(object? root)
    {
        var result = Resolve(root);
        while (_unvisited.TryPop(out var container))
        {
            switch (container)
            {
                case List<object?> list:
                    for (var i = 0; i < list.Count; i++)
                    {
                        list[i] = Resolve(list[i]);
                    }

                    break;
                case Dictionary<object, object?> dictionary:
                    // Overwriting the value of a key that is there does not disturb the enumeration.
                    foreach (var (key, value) in dictionary)
                    {
                        dictionary[key] = Resolve(value);
                    }

                    break;
                case UnknownPickleValue unknown:
                    unknown.State = Resolve(unknown.State);
                    break;
                default:
                    break;
            }
        }

        return result;
    }

    /// <summary>A tensor's value; anything else as it is, to be visited later if it may hold tensors.</summary>
    private object? Resolve(object? value)
    {
        if (value is TorchTensor tensor)
        {
            return Read(tensor);
        }

        if (value is (List<object?> or Dictionary<object, object?> or UnknownPickleValue) && _seen.Add(value))
        {
            _unvisited.Push(value);
        }

        return value;
    }

    private HostTensor Read(TorchTensor tensor)
    {
        if (!_tensors.TryGetValue(tensor, out var value))
        {
            var storage = tensor.Storage;
            if (!_storages.TryGetValue(storage.Key, out var content))
            {
                _storages[storage.Key] = content = _container.Read(storage);
            }

            var size = storage.Type.Size();
            _tensors[tensor] = value = tensor.ToHost(content.Slice((int)(storage.Start * size), (int)(storage.Count * size)));
        }

        return value;
    }
}
