using System.Numerics;
using System.Text;
using NextPatch.Core.Checkpoints.Pickle;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.PyTorch;

/// <summary>The allow-list: every Python name that a PyTorch checkpoint may mention, and what we make of it.</summary>
internal sealed class TorchGlobals
{
    // Views that share a storage, or repeat its elements (stride 0), hold more than the file; real ones by little.
    private const long ExpansionAllowance = 1 << 25;
    private const int ExpansionFactor = 4;

    // Python names each class once per pickle; opcodes could name it, and join its name, without end.
    private const int MaxUnknownNames = 10_000;
    private const int MaxNameLength = 256;

    /// <summary>PyTorch's names in module torch: of storages, and of element types.</summary>
    public static readonly IReadOnlyList<(ElementType Type, string Storage, string[] Names)> Types =
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
        (ElementType.Complex64, "ComplexFloatStorage", ["complex64", "cfloat"]),
        (ElementType.Complex128, "ComplexDoubleStorage", ["complex128", "cdouble"]),
    ];

    /// <summary>Newer element types have no storage class: their bytes are named, and the type with the tensor.</summary>
    public static readonly IReadOnlyList<(ElementType Type, string Name)> BareTypes =
    [
        (ElementType.Float8E4M3, "float8_e4m3fn"), (ElementType.Float8E5M2, "float8_e5m2"),
        (ElementType.UInt16, "uint16"), (ElementType.UInt32, "uint32"), (ElementType.UInt64, "uint64"),
    ];

    private readonly string _path;
    private readonly Dictionary<string, object> _known = [];
    private long _copyBudget;
    private int _unknownNames;

    /// <param name="path">What messages call the file.</param>
    /// <param name="fileLength">Bounds the memory that all tensors together may take.</param>
    public TorchGlobals(string path, long fileLength)
    {
        _path = path;
        _copyBudget = ExpansionAllowance + (ExpansionFactor * fileLength);
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
        Add("torch._utils._rebuild_tensor", RebuildTensor);
        Add("torch._utils._rebuild_tensor_v2", RebuildTensor);
        Add("torch._utils._rebuild_tensor_v3", RebuildTypedTensor);
        Add("torch._utils._rebuild_parameter", arguments => arguments is [TorchTensor tensor, ..] ? tensor : throw Bad(
            "a parameter without a tensor"));
        AddSettings();
    }

    /// <returns>A value, a <see cref="PickleCallable"/>, or a <see cref="PickleUnknownClass"/> for a name that is not on the list.</returns>
    /// <exception cref="DataFormatException">A name off the list that is too long, or one too many: they cost memory.</exception>
    public object Find(string name)
    {
        if (_known.TryGetValue(name, out var value))
        {
            return value;
        }

        var unknown = new PickleUnknownClass(name);
        return name.Length <= MaxNameLength && ++_unknownNames <= MaxUnknownNames ? unknown : throw unknown.Refuse(_path);
    }

    private void AddTypes()
    {
        _known.Add("torch.storage.UntypedStorage", ElementType.UInt8);
        _known.Add("torch.UntypedStorage", ElementType.UInt8);
        foreach (var (type, name) in BareTypes)
        {
            _known.Add($"torch.{name}", type);
        }

        foreach (var (type, storage, names) in Types)
        {
            _known.Add($"torch.{storage}", type);
            foreach (var name in names)
            {
                _known.Add($"torch.{name}", type);
            }
        }
    }

    /// <summary>What training scripts leave in their settings: text and numbers where there is a counterpart, else inert.</summary>
    private void AddSettings()
    {
        Add("torch.Size", ListOf);
        Add("torch.device", arguments => arguments.All(argument => argument is string or long) ? string.Join(':', arguments) : throw Bad(
            "a device without name and number"));
        Add("_codecs.encode", arguments => arguments is [string text, "latin1"] && text.All(c => c <= 0xFF) ? Encoding.Latin1.GetBytes(
            text) : throw Bad("bytes that are not written as Latin-1 text"));
        foreach (var path in (ReadOnlySpan<string>)["PurePosixPath", "PosixPath", "PureWindowsPath", "WindowsPath"])
        {
            Add($"pathlib.{path}", PathOf);
        }

        foreach (var module in (ReadOnlySpan<string>)["builtins", "__builtin__"])
        {
            Add($"{module}.complex", arguments => arguments is [double real, double imaginary] ? new Complex(real, imaginary) : throw Bad(
                "a complex number without two parts"));
        }

        AddInert("numpy.dtype");
        AddInert("numpy.ndarray");
        foreach (var module in (ReadOnlySpan<string>)["numpy.core.multiarray", "numpy._core.multiarray"])
        {
            AddInert($"{module}.scalar");
            AddInert($"{module}._reconstruct");
        }
    }

    private void AddInert(string name) => Add(name, _ => new UnknownPickleValue(name));

    private void Add(string name, Func<IReadOnlyList<object?>, object?> call) => _known.Add(name, new PickleCallable(name, call));

    private object ListOf(IReadOnlyList<object?> arguments) => arguments switch
    {
        [] => new List<object?>(),
        [List<object?> items] => new List<object?>(items),
        _ => throw Bad("a list made of something that is not a list"),
    };

    /// <summary>"/", "a", "b" is "/a/b".</summary>
    private string PathOf(IReadOnlyList<object?> parts)
    {
        if (!parts.All(part => part is string))
        {
            throw Bad("a path made of something that is not text");
        }

        var joined = string.Join('/', parts);
        return joined.StartsWith("//", StringComparison.Ordinal) ? joined[1..] : joined;
    }

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

    /// <summary>(storage, offset, size, stride, requires_grad, backward_hooks[, metadata]): a view.</summary>
    private TorchTensor RebuildTensor(IReadOnlyList<object?> arguments)
        => arguments is [TorchStorage storage, ..] ? RebuildTensor(arguments, storage.Type) : throw Bad("a tensor without a storage");

    /// <summary>(storage, offset, size, stride, requires_grad, backward_hooks, type[, metadata]): a view of untyped bytes.</summary>
    private TorchTensor RebuildTypedTensor(IReadOnlyList<object?> arguments)
        => arguments is [_, _, _, _, _, _, ElementType type, ..] ? RebuildTensor(arguments, type) : throw Bad("a tensor without an element type");

    private TorchTensor RebuildTensor(IReadOnlyList<object?> arguments, ElementType type)
    {
        if (arguments is not [TorchStorage storage, long offset, List<object?> sizes, List<object?> steps, ..] || sizes.Count != steps.Count
            || !sizes.Concat(steps).All(value => value is long))
        {
            throw Bad("a tensor without storage, offset, sizes and strides");
        }

        var tensor = new TorchTensor(storage, type, offset, [.. sizes.Cast<long>()], [.. steps.Cast<long>()]);
        var bytes = StoredShape.ByteCount(_path, type, tensor.Shape);
        if (bytes == 0)
        {
            return tensor with { Offset = 0 };
        }

        CheckBounds(tensor);
        _copyBudget -= Math.Min(bytes, long.MaxValue / 2);
        return _copyBudget >= 0
            ? tensor
            : throw Bad($"views that are far larger than the file, the last of shape {HostTensor.Describe(tensor.Shape)}");
    }

    private void CheckBounds(TorchTensor tensor)
    {
        var last = (Int128)tensor.Offset;
        for (var axis = 0; axis < tensor.Shape.Length; axis++)
        {
            last += (Int128)(tensor.Shape[axis] - 1) * tensor.Strides[axis];
        }

        var count = tensor.Storage.Count * tensor.Storage.Type.Size() / tensor.Type.Size();
        if (tensor.Offset < 0 || tensor.Strides.Any(stride => stride < 0) || last >= count)
        {
            throw Bad($"a tensor of shape {HostTensor.Describe(tensor.Shape)}, strides {HostTensor.Describe(tensor.Strides)} and offset "
                + $"{tensor.Offset} outside its storage of {count} elements");
        }
    }

    private DataFormatException Bad(string found) => new($"'{_path}' is not a valid PyTorch checkpoint: it holds {found}.");
}
