namespace NextPatch.Core.Checkpoints;

/// <summary>Checkpoints written by torch.save, in its zip format and in the older one.</summary>
/// <remarks>
/// Nothing in the file is executed: the pickle is read by <see cref="Unpickler"/> against the allow-list of
/// <see cref="TorchGlobals"/>. Source of the layout: torch/serialization.py.
/// </remarks>
public static class PyTorchFile
{
    /// <summary>A checkpoint of a thousand tensors needs some 200 KB.</summary>
    internal const int MaxPickleBytes = 64 << 20;

    private static readonly string[] UsualKeys = ["model", "module", "state_dict", "ema", "discriminator"];

    // Wrappers that put their name before every key: torch.compile, and DistributedDataParallel or FSDP.
    private static readonly string[] WrapperPrefixes = ["module.", "_orig_mod."];

    /// <summary>Reads a checkpoint as plain values.</summary>
    /// <returns>
    /// Dictionary&lt;object, object?&gt; for dictionaries and argparse.Namespace, List&lt;object?&gt; for lists, tuples and sets,
    /// string (also for devices and paths), long (BigInteger beyond 64 bits), double, Complex, bool, byte[], <see cref="ElementType"/> for dtypes,
    /// null, <see cref="UnknownPickleValue"/> for data of other classes, and contiguous <see cref="HostTensor"/>s, which may share
    /// memory as they did in Python.
    /// </returns>
    /// <exception cref="DataFormatException">Damaged, of another format, or asking for a Python name that is not allowed.</exception>
    public static object? Read(string path)
    {
        using var container = Open(path);
        return new TorchTensorReader(container).ReadAll(container.Unpickle());
    }

    /// <summary>Finds the weights in a checkpoint.</summary>
    /// <param name="path">The file.</param>
    /// <param name="preferredKeys">Top-level keys to look under first, best first ("ema", "discriminator"); then come "model",
    /// "module", "state_dict", "ema", "discriminator", and last the checkpoint itself.</param>
    /// <returns>Tensors by name without "module." and "_orig_mod."; "freqs_cis", a table that is computed anew, is left out.</returns>
    /// <exception cref="DataFormatException">As <see cref="Read"/>, or no weights are found.</exception>
    public static IReadOnlyDictionary<string, HostTensor> ReadStateDict(string path, params string[] preferredKeys)
    {
        var content = Read(path);
        if (content is UnknownPickleValue model)
        {
            throw new DataFormatException($"'{path}' holds a whole {StoredFile.Quote(model.Name)} object, not its weights; save model.state_dict() in Python.");
        }

        if (content is not Dictionary<object, object?> top)
        {
            throw new DataFormatException($"'{path}' does not hold a dictionary at its top; save model.state_dict() or a dictionary that contains it.");
        }

        var weights = preferredKeys.Concat(UsualKeys)
            .Select(key => top.GetValueOrDefault(key) as Dictionary<object, object?>)
            .Append(top)
            .FirstOrDefault(candidate => candidate is not null && candidate.Values.Any(value => value is HostTensor));
        return weights is not null
            ? Clean(weights, path)
            : throw new DataFormatException(
                $"'{path}' holds no weights under {string.Join(", ", preferredKeys.Concat(UsualKeys).Distinct())} nor at its top; its keys are " +
                $"{StoredFile.Quote(string.Join(", ", top.Keys))}.");
    }

    /// <summary>Writes weights as torch.save does, for torch.load with and without weights_only=True.</summary>
    /// <param name="path">The file; an existing one is replaced once the new one is complete on disk.</param>
    /// <param name="state">Tensors by name, in this order. The same content gives the same bytes.</param>
    /// <param name="key">What the file's dictionary calls them; null to make them its top.</param>
    /// <exception cref="NextPatchException">The file cannot be written, or PyTorch has no storage of an element type (UInt16, UInt32, UInt64).</exception>
    /// <exception cref="ArgumentException">Two tensors have one name.</exception>
    public static void Write(string path, IEnumerable<KeyValuePair<string, HostTensor>> state, string? key = "model")
    {
        var tensors = state.ToList();
        var names = new HashSet<string>();
        foreach (var (name, tensor) in tensors)
        {
            _ = TorchZipWriter.StorageOf(name, tensor.Type);
            if (!names.Add(name))
            {
                throw new ArgumentException($"The tensor name '{name}' is used twice.", nameof(state));
            }
        }

        StoredFile.Replace(path, stream => TorchZipWriter.Write(stream, RootOf(path), tensors, key));
    }

    /// <summary>The folder inside the archive: the file's name, as torch.save has it.</summary>
    private static string RootOf(string path) => Path.GetFileNameWithoutExtension(path) is { Length: > 0 } stem ? stem : "archive";

    private static Dictionary<string, HostTensor> Clean(Dictionary<object, object?> weights, string path)
    {
        var clean = new Dictionary<string, HostTensor>();
        foreach (var (key, value) in weights)
        {
            if (key is not string name || value is not HostTensor tensor)
            {
                continue;
            }

            while (Array.Find(WrapperPrefixes, prefix => name.StartsWith(prefix, StringComparison.Ordinal)) is { } wrapper)
            {
                name = name[wrapper.Length..];
            }

            if (name != "freqs_cis" && !clean.TryAdd(name, tensor))
            {
                throw new DataFormatException($"'{path}' holds two weights named {StoredFile.Quote(name)} once wrapper prefixes are removed.");
            }
        }

        return clean;
    }

    private static ITorchContainer Open(string path)
    {
        using var stream = StoredFile.OpenRead(path);
        var start = new byte[4];
        var read = stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        if (read == start.Length && start.AsSpan().SequenceEqual("PK\x03\x04"u8))
        {
            return new TorchZipContainer(path);
        }

        return read >= 2 && start[0] == (byte)PickleOpcode.Proto && start[1] is >= 1 and <= 5
            ? new TorchLegacyContainer(path)
            : throw new DataFormatException($"'{path}' is not a PyTorch checkpoint: it is neither a zip archive nor a pickle ({stream.Length} bytes). Was a web page or an incomplete download saved?");
    }
}
