namespace NextPatch.Core.Checkpoints;

/// <summary>The allow-list: every Python name that a PyTorch checkpoint may mention, and what we make of it.</summary>
internal sealed class TorchGlobals
{
    // Expanded tensors (stride 0) grow when they are made contiguous; real ones by little.
    private const long ExpansionAllowance = 1 << 26;

    private readonly string _path;
    private readonly Dictionary<string, object> _known = [];
    private long _copyBudget;

    /// <param name="path">What messages call the file.</param>
    /// <param name="fileLength">Bounds the memory that views may take when they are made contiguous.</param>
    public TorchGlobals(string path, long fileLength)
    {
        _path = path;
        _copyBudget = ExpansionAllowance + (2 * fileLength);
        AddTypes();
        foreach (var module in (ReadOnlySpan<string>)["builtins", "__builtin__"])
        {
            Add($"{module}.dict", DictionaryOf);
            Add($"{module}.list", ListOf);
            Add($"{module}.tuple", ListOf);
            Add($"{module}.set", ListOf);
            Add($"{module}.frozenset", ListOf);
        }

        Add("collections.OrderedDict", DictionaryOf);
        Add("argparse.Namespace", _ => new PickleNamespace());
        Add("torch._utils._rebuild_tensor_v2", RebuildTensor);
        Add("torch._utils._rebuild_parameter", arguments => arguments is [HostTensor tensor, ..] ? tensor : throw Bad("a parameter without a tensor"));
    }

    /// <exception cref="DataFormatException">The name is not on the list.</exception>
    public object Find(string name) => _known.TryGetValue(name, out var value)
        ? value
        : throw new DataFormatException(
            $"'{_path}' asks for the Python name {StoredFile.Quote(name)}, which is not on the list of what a checkpoint may contain; nothing was executed. " +
            "If you trust the file, save its weights alone in Python: torch.save(model.state_dict(), path).");

    private void AddTypes()
    {
        foreach (var (type, storage, names) in ((ElementType, string, string[])[])
        [
            (ElementType.Bool, "BoolStorage", ["bool"]),
            (ElementType.UInt8, "ByteStorage", ["uint8"]),
            (ElementType.Int8, "CharStorage", ["int8"]),
            (ElementType.Int16, "ShortStorage", ["int16", "short"]),
            (ElementType.Int32, "IntStorage", ["int32", "int"]),
            (ElementType.Int64, "LongStorage", ["int64", "long"]),
            (ElementType.Float16, "HalfStorage", ["float16", "half"]),
            (ElementType.BFloat16, "BFloat16Storage", ["bfloat16"]),
            (ElementType.Float32, "FloatStorage", ["float32", "float"]),
            (ElementType.Float64, "DoubleStorage", ["float64", "double"]),
        ])
        {
            _known.Add($"torch.{storage}", type);
            foreach (var name in names)
            {
                _known.Add($"torch.{name}", type);
            }
        }
    }

    private void Add(string name, Func<IReadOnlyList<object?>, object?> call) => _known.Add(name, new PickleCallable(name, call));

    private object ListOf(IReadOnlyList<object?> arguments) => arguments switch
    {
        [] => new List<object?>(),
        [List<object?> items] => new List<object?>(items),
        _ => throw Bad("a list made of something that is not a list"),
    };

    private object DictionaryOf(IReadOnlyList<object?> arguments)
    {
        var dictionary = new Dictionary<object, object?>();
        if (arguments is [List<object?> pairs])
        {
            foreach (var item in pairs)
            {
                if (item is not List<object?> pair || pair is not [string key, var value])
                {
                    throw Bad("a dictionary made of something other than pairs of text and value");
                }

                dictionary[key] = value;
            }
        }
        else if (arguments.Count > 0)
        {
            throw Bad("a dictionary made of something other than pairs of text and value");
        }

        return dictionary;
    }

    /// <summary>(storage, offset, size, stride, requires_grad, backward_hooks[, metadata]): a view, made contiguous.</summary>
    private object RebuildTensor(IReadOnlyList<object?> arguments)
    {
        if (arguments is not [TorchStorage storage, long offset, List<object?> sizes, List<object?> steps, ..] || sizes.Count != steps.Count
            || !sizes.Concat(steps).All(value => value is long))
        {
            throw Bad("a tensor without storage, offset, sizes and strides");
        }

        var shape = sizes.Cast<long>().ToArray();
        var strides = steps.Cast<long>().ToArray();
        var count = StoredShape.ByteCountInMemory(_path, storage.Type, shape) / storage.Type.Size();
        if (count == 0)
        {
            return new HostTensor(storage.Type, shape, default);
        }

        CheckBounds(storage, offset, shape, strides);
        var size = storage.Type.Size();
        var reachable = storage.Bytes[(int)(offset * size)..];
        if (StoredShape.IsContiguous(shape, strides))
        {
            return new HostTensor(storage.Type, shape, reachable[..(count * size)]);
        }

        _copyBudget -= (long)count * size;
        return _copyBudget >= 0
            ? new HostTensor(storage.Type, shape, StoredShape.ToContiguous(reachable.Span, size, shape, strides))
            : throw Bad($"views that are far larger than the file, the last of shape {HostTensor.Describe(shape)}");
    }

    private void CheckBounds(TorchStorage storage, long offset, long[] shape, long[] strides)
    {
        var available = storage.Bytes.Length / storage.Type.Size();
        var last = (Int128)offset;
        for (var axis = 0; axis < shape.Length; axis++)
        {
            last += (Int128)(shape[axis] - 1) * strides[axis];
        }

        if (offset < 0 || strides.Any(stride => stride < 0) || last >= available)
        {
            throw Bad($"a tensor of shape {HostTensor.Describe(shape)}, strides {HostTensor.Describe(strides)} and offset {offset} outside its storage of {available} elements");
        }
    }

    private DataFormatException Bad(string found) => new($"'{_path}' is not a valid PyTorch checkpoint: it holds {found}.");
}
