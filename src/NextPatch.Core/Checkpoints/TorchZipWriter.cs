namespace NextPatch.Core.Checkpoints;

/// <summary>Writes a state dictionary as torch.save does: the same pickle, one storage per tensor.</summary>
internal static class TorchZipWriter
{
    /// <summary>CPython fills dictionaries in groups of this size.</summary>
    private const int GroupSize = 1000;

    public static void Write(Stream stream, string root, IReadOnlyList<KeyValuePair<string, HostTensor>> state, string? key)
    {
        var zip = new StoredZipWriter(stream);
        zip.Add($"{root}/data.pkl", Pickle(state, key));
        zip.Add($"{root}/byteorder", "little"u8);
        for (var i = 0; i < state.Count; i++)
        {
            zip.Add($"{root}/data/{i}", state[i].Value.Bytes.Span);
        }

        zip.Add($"{root}/version", "3\n"u8);
        zip.Finish();
    }

    /// <summary>PyTorch's name of a storage of this type.</summary>
    /// <exception cref="NextPatchException">PyTorch before 2.3 has no such type.</exception>
    public static string StorageOf(string name, ElementType type) => TorchGlobals.Types.FirstOrDefault(t => t.Type == type).Storage
        ?? throw new NextPatchException($"Tensor '{name}' has the type {type}, which a PyTorch checkpoint does not hold; convert it to {ElementType.Int64}.");

    private static byte[] Pickle(IReadOnlyList<KeyValuePair<string, HostTensor>> state, string? key)
    {
        var pickle = new PickleWriter();
        if (key is not null)
        {
            pickle.Op(PickleOpcode.EmptyDict);
            pickle.Memoize();
            pickle.Text(key);
        }

        pickle.OrderedDictionary();
        for (var start = 0; start < state.Count; start += GroupSize)
        {
            var end = Math.Min(state.Count, start + GroupSize);
            if (end - start > 1)
            {
                pickle.Op(PickleOpcode.Mark);
            }

            for (var i = start; i < end; i++)
            {
                pickle.Text(state[i].Key);
                Tensor(pickle, state[i], $"{i}");
            }

            pickle.Op(end - start > 1 ? PickleOpcode.SetItems : PickleOpcode.SetItem);
        }

        if (key is not null)
        {
            pickle.Op(PickleOpcode.SetItem);
        }

        return pickle.Finish();
    }

    /// <summary>torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks).</summary>
    private static void Tensor(PickleWriter pickle, KeyValuePair<string, HostTensor> named, string storage)
    {
        var (name, tensor) = named;
        pickle.Global("torch._utils", "_rebuild_tensor_v2");
        pickle.Op(PickleOpcode.Mark);
        pickle.Op(PickleOpcode.Mark);
        pickle.SharedText("storage");
        pickle.Global("torch", StorageOf(name, tensor.Type));
        pickle.Text(storage);
        pickle.SharedText("cpu");
        pickle.Integer(tensor.Count);
        pickle.Op(PickleOpcode.Tuple);
        pickle.Memoize();
        pickle.Op(PickleOpcode.BinPersId);
        pickle.Integer(0);
        pickle.Tuple(tensor.Shape);
        pickle.Tuple(StoredShape.ContiguousStrides(tensor.Shape));
        pickle.Op(PickleOpcode.NewFalse);
        pickle.OrderedDictionary();
        pickle.Op(PickleOpcode.Tuple);
        pickle.Memoize();
        pickle.Op(PickleOpcode.Reduce);
        pickle.Memoize();
    }
}
