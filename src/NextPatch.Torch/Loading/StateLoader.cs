using NextPatch.Core;
using NextPatch.Core.Tensors;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Loading;

/// <summary>Moves weights between modules and managed tensors. Loading is strict: nothing is broadcast, skipped or left over.</summary>
public static class StateLoader
{
    private const int MaxListed = 8;

    /// <summary>Fills a module from an open file, part by part: no second copy of the weights ever exists.</summary>
    /// <param name="module">On any device.</param>
    /// <param name="state">Tensors by state key; floating-point types are converted to the module's own.</param>
    /// <param name="source">File name for messages.</param>
    /// <exception cref="NextPatchException">Keys are missing, unexpected or mis-shaped: all of them in one message.</exception>
    /// <exception cref="DataFormatException">A number is not finite, in the file or in the module's type.</exception>
    public static void Load(Module module, IReadOnlyDictionary<string, StoredTensor> state, string source)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var own = StateOf(module).ToDictionary();
        var problems = new List<string>();
        problems.AddRange(Listed("missing", own.Keys.Where(k => !state.ContainsKey(k))));
        problems.AddRange(Listed("unexpected", state.Keys.Where(k => !own.ContainsKey(k))));
        problems.AddRange(Listed("of another shape", own.Where(p => state.TryGetValue(p.Key, out var t) && !t.Shape.SequenceEqual(p.Value.shape))
            .Select(p => $"'{p.Key}' is {HostTensor.Describe(state[p.Key].Shape)} but the model expects {HostTensor.Describe(p.Value.shape)}")));
        problems.AddRange(
            Listed("of another type", own.Where(
            p => state.TryGetValue(p.Key, out var t) && t.As(ToElementType(p.Value.dtype)).Type != ToElementType(p.Value.dtype))
            .Select(p => $"'{p.Key}' is {state[p.Key].Type} but the model expects {ToElementType(p.Value.dtype)}")));
        if (problems.Count > 0)
        {
            throw new NextPatchException(
                $"The weights in {source} do not fit the model; the preset or the number of classes or codes is probably another. "
                + $"{string.Join(" ", problems)}");
        }

        foreach (var (key, target) in own)
        {
            if (target.numel() > 0)
            {
                Fill(key, target, state[key].As(ToElementType(target.dtype)), source);
            }
        }
    }

    /// <inheritdoc cref="Load(Module, IReadOnlyDictionary{string, StoredTensor}, string)"/>
    public static void Load(Module module, IReadOnlyDictionary<string, HostTensor> state, string source)
        => Load(module, state.ToDictionary(p => p.Key, p => StoredTensor.From(p.Value)), source);

    /// <summary>Copies a module's state, keys in module order.</summary>
    public static List<KeyValuePair<string, HostTensor>> Capture(Module module)
    {
        using var scope = NewDisposeScope();
        return [.. StateOf(module).Select(p => KeyValuePair.Create(p.Key, ToHost(p.Value)))];
    }

    /// <summary>
    /// A module's parameters and buffers in PyTorch's order: a module's own before those of its children (TorchSharp puts all buffers last).
    /// </summary>
    public static IEnumerable<KeyValuePair<string, Tensor>> StateOf(Module module) => StateOf(module, "");

    /// <summary>Copies to a CPU tensor of the same element type, in the caller's dispose scope.</summary>
    public static Tensor ToTensor(HostTensor source)
    {
        var result = empty([.. source.Shape], ToScalarType(source.Type));
        if (source.Count > 0)
        {
            result.bytes = source.Bytes.ToArray();
        }

        return result;
    }

    /// <summary>Copies a tensor to managed memory.</summary>
    public static HostTensor ToHost(Tensor source)
    {
        using var scope = NewDisposeScope();
        var contiguous = source.detach().cpu().contiguous();
        return new HostTensor(ToElementType(source.dtype), source.shape, contiguous.bytes.ToArray());
    }

    private static IEnumerable<KeyValuePair<string, Tensor>> StateOf(Module module, string prefix)
        => module.named_parameters(recurse: false).Select(p => KeyValuePair.Create(prefix + p.name, (Tensor)p.parameter))
            .Concat(module.named_buffers(recurse: false).Select(b => KeyValuePair.Create(prefix + b.name, b.buffer)))
            .Concat(module.named_children().SelectMany(child => StateOf(child.module, $"{prefix}{child.name}.")));

    private static void Fill(string key, Tensor target, StoredTensor source, string file)
    {
        if (target.is_contiguous() && target.device.type == TorchSharp.DeviceType.CPU && source.ByteCount <= Array.MaxLength)
        {
            source.CopyTo(0, target.bytes);
            FiniteNumbers.Require(key, source.Type, target.bytes, file);
        }
        else
        {
            using var inner = NewDisposeScope();
            var read = source.Read();
            FiniteNumbers.Require(key, source.Type, read.Bytes.Span, file);
            target.copy_(ToTensor(read));
        }
    }

    private static IEnumerable<string> Listed(string what, IEnumerable<string> items)
    {
        var all = items.ToList();
        if (all.Count > 0)
        {
            yield return $"{all.Count} {what}: {string.Join(", ", all.Take(MaxListed))}{(all.Count > MaxListed ? ", …" : "")}.";
        }
    }

    private static ScalarType ToScalarType(ElementType type) => type switch
    {
        ElementType.Bool => ScalarType.Bool,
        ElementType.UInt8 => ScalarType.Byte,
        ElementType.Int8 => ScalarType.Int8,
        ElementType.Int16 => ScalarType.Int16,
        ElementType.Int32 => ScalarType.Int32,
        ElementType.Int64 => ScalarType.Int64,
        ElementType.Float16 => ScalarType.Float16,
        ElementType.BFloat16 => ScalarType.BFloat16,
        ElementType.Float32 => ScalarType.Float32,
        ElementType.Float64 => ScalarType.Float64,
        _ => throw new NextPatchException($"A {type} tensor has no counterpart in libtorch."),
    };

    private static ElementType ToElementType(ScalarType type) => type switch
    {
        ScalarType.Bool => ElementType.Bool,
        ScalarType.Byte => ElementType.UInt8,
        ScalarType.Int8 => ElementType.Int8,
        ScalarType.Int16 => ElementType.Int16,
        ScalarType.Int32 => ElementType.Int32,
        ScalarType.Int64 => ElementType.Int64,
        ScalarType.Float16 => ElementType.Float16,
        ScalarType.BFloat16 => ElementType.BFloat16,
        ScalarType.Float32 => ElementType.Float32,
        ScalarType.Float64 => ElementType.Float64,
        _ => throw new NextPatchException($"A {type} tensor cannot be stored."),
    };
}
