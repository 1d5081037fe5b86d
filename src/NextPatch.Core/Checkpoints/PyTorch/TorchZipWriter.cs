using NextPatch.Core.Checkpoints.Pickle;
using NextPatch.Core.Checkpoints.Zip;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.PyTorch;

/// <summary>Writes plain values and tensors as torch.save does: the same pickle, one storage per tensor.</summary>
internal sealed class TorchZipWriter
{
    /// <summary>CPython fills containers in groups of this size.</summary>
    private const int GroupSize = 1000;

    // Content that holds itself would nest without end.
    private const int MaxDepth = 100;

    private readonly PickleWriter _pickle = new();
    private readonly List<StoredTensor> _storages = [];
    private readonly Dictionary<object, int> _numbers = new(ReferenceEqualityComparer.Instance);

    /// <param name="stream">Seekable.</param>
    /// <param name="root">The folder inside the archive.</param>
    /// <param name="content">As <see cref="PyTorchFile.Write(string, object?)"/> describes.</param>
    /// <exception cref="NextPatchException">A value has no counterpart in Python.</exception>
    public static void Write(Stream stream, string root, object? content)
    {
        var writer = new TorchZipWriter();
        writer.Value(content, "the checkpoint", 0);
        var zip = new StoredZipWriter(stream);
        zip.Add($"{root}/data.pkl", writer._pickle.Finish());
        zip.Add($"{root}/byteorder", "little"u8.ToArray());
        for (var i = 0; i < writer._storages.Count; i++)
        {
            zip.Add($"{root}/data/{i}", writer._storages[i]);
        }

        zip.Add($"{root}/version", "3\n"u8.ToArray());
        zip.Finish();
    }

    private void Value(object? value, string name, int depth)
    {
        if (depth > MaxDepth)
        {
            throw new NextPatchException($"{name} is nested deeper than {MaxDepth} levels, or holds itself.");
        }

        switch (value)
        {
            case null: _pickle.Op(PickleOpcode.None); break;
            case bool truth: _pickle.Op(truth ? PickleOpcode.NewTrue : PickleOpcode.NewFalse); break;
            case long integer: _pickle.Integer(integer); break;
            case double real: _pickle.Real(real); break;
            case string text: _pickle.Text(text); break;
            case HostTensor or StoredTensor: Tensor(value, name); break;
            case IReadOnlyList<KeyValuePair<string, StoredTensor>> state:
                _pickle.OrderedDictionary();
                Fill([.. state.Select(p => KeyValuePair.Create((object)p.Key, (object?)p.Value))], depth);
                break;
            case Dictionary<object, object?> dictionary:
                _pickle.Op(PickleOpcode.EmptyDict);
                _pickle.Memoize();
                Fill([.. dictionary], depth);
                break;
            case List<object?> list: Items(list, name, depth); break;
            default:
                throw new NextPatchException(
                $"{name} is a {value.GetType().Name}, which cannot be written to a PyTorch checkpoint; leave it out.");
        }
    }

    private void Fill(List<KeyValuePair<object, object?>> pairs, int depth) => Grouped(pairs, PickleOpcode.SetItem, PickleOpcode.SetItems, pair =>
    {
        Value(pair.Key, "a key", depth + 1);
        Value(pair.Value, $"'{pair.Key}'", depth + 1);
    });

    private void Items(List<object?> items, string name, int depth)
    {
        _pickle.Op(PickleOpcode.EmptyList);
        _pickle.Memoize();
        Grouped(items, PickleOpcode.Append, PickleOpcode.Appends, item => Value(item, $"an element of {name}", depth + 1));
    }

    private void Grouped<T>(List<T> items, PickleOpcode one, PickleOpcode many, Action<T> write)
    {
        for (var start = 0; start < items.Count; start += GroupSize)
        {
            var end = Math.Min(items.Count, start + GroupSize);
            if (end - start > 1)
            {
                _pickle.Op(PickleOpcode.Mark);
            }

            for (var i = start; i < end; i++)
            {
                write(items[i]);
            }

            _pickle.Op(end - start > 1 ? many : one);
        }
    }

    /// <summary>
    /// torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks), or _v3 with the type behind it.
    /// </summary>
    private void Tensor(object tensor, string name)
    {
        // The same object again is a tied weight: one storage.
        var stored = tensor as StoredTensor ?? StoredTensor.From((HostTensor)tensor);
        if (!_numbers.TryGetValue(tensor, out var number))
        {
            _numbers[tensor] = number = _storages.Count;
            _storages.Add(stored);
        }

        var storage = TorchGlobals.Types.FirstOrDefault(t => t.Type == stored.Type).Storage;
        var bare = TorchGlobals.BareTypes.FirstOrDefault(t => t.Type == stored.Type).Name;
        _pickle.Global("torch._utils", storage is not null ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3");
        _pickle.Op(PickleOpcode.Mark);
        _pickle.Op(PickleOpcode.Mark);
        _pickle.SharedText("storage");
        if (storage is not null)
        {
            _pickle.Global("torch", storage);
        }
        else
        {
            _pickle.Global("torch.storage", "UntypedStorage");
        }

        _pickle.Text($"{number}");
        _pickle.SharedText("cpu");
        _pickle.Integer(storage is not null ? stored.Count : stored.ByteCount);
        _pickle.Op(PickleOpcode.Tuple);
        _pickle.Memoize();
        _pickle.Op(PickleOpcode.BinPersId);
        _pickle.Integer(0);
        _pickle.Tuple(stored.Shape);
        _pickle.Tuple(StoredShape.ContiguousStrides(stored.Shape));
        _pickle.Op(PickleOpcode.NewFalse);
        _pickle.OrderedDictionary();
        if (bare is not null)
        {
            _pickle.Global("torch", bare);
        }

        _pickle.Op(PickleOpcode.Tuple);
        _pickle.Memoize();
        _pickle.Op(PickleOpcode.Reduce);
        _pickle.Memoize();
    }
}
