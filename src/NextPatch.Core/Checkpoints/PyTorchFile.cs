using System.Text;

namespace NextPatch.Core.Checkpoints;

/// <summary>Checkpoints written by torch.save since PyTorch 1.6: a zip archive of one pickle and raw storages.</summary>
/// <remarks>
/// Nothing in the file is executed: the pickle is read by <see cref="Unpickler"/> against the allow-list of
/// <see cref="TorchGlobals"/>. Source of the layout: torch/serialization.py.
/// </remarks>
public static class PyTorchFile
{
    private const int MaxPickleBytes = 64 << 20;
    private const string PickleName = "data.pkl";

    private static readonly string[] UsualKeys = ["model", "module", "state_dict", "ema", "discriminator"];

    // Wrappers that put their name before every key: torch.compile, and DistributedDataParallel or FSDP.
    private static readonly string[] WrapperPrefixes = ["module.", "_orig_mod."];

    /// <summary>Reads a checkpoint as plain values.</summary>
    /// <returns>
    /// Dictionary&lt;object, object?&gt; for dictionaries and argparse.Namespace, List&lt;object?&gt; for lists, tuples and sets,
    /// string, long (BigInteger beyond 64 bits), double, bool, byte[], <see cref="ElementType"/> for dtypes, null, and
    /// contiguous <see cref="HostTensor"/>s, which may share memory as they did in Python.
    /// </returns>
    /// <exception cref="DataFormatException">Damaged, of another format, or asking for a Python name that is not allowed.</exception>
    public static object? Read(string path)
    {
        CheckFormat(path);
        using var zip = new StoredZip(path);
        var pickles = zip.Names.Where(n => n == PickleName || n.EndsWith("/" + PickleName, StringComparison.Ordinal)).ToList();
        if (pickles is not [var pickle])
        {
            throw new DataFormatException($"'{path}' is a zip archive with {pickles.Count} members named {PickleName}; a PyTorch checkpoint has one.");
        }

        var root = pickle[..^PickleName.Length];
        CheckByteOrder(zip, root, path);
        var globals = new TorchGlobals(path, new FileInfo(path).Length);
        var storages = new Dictionary<string, byte[]>();
        return new Unpickler(zip.Read(pickle, MaxPickleBytes), path, globals.Find, id => LoadStorage(zip, root, path, storages, id)).Load();
    }

    /// <summary>Finds the weights in a checkpoint.</summary>
    /// <param name="path">The file.</param>
    /// <param name="preferredKeys">Top-level keys to look under first, best first ("ema", "discriminator"); then come "model",
    /// "module", "state_dict", "ema", "discriminator", and last the checkpoint itself.</param>
    /// <returns>Tensors by name without "module." and "_orig_mod."; "freqs_cis", a table that is computed anew, is left out.</returns>
    /// <exception cref="DataFormatException">As <see cref="Read"/>, or no weights are found.</exception>
    public static IReadOnlyDictionary<string, HostTensor> ReadStateDict(string path, params string[] preferredKeys)
    {
        if (Read(path) is not Dictionary<object, object?> top)
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

    private static void CheckFormat(string path)
    {
        using var stream = StoredFile.OpenRead(path);
        var start = new byte[4];
        var read = stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        if (read >= 2 && start[0] == (byte)PickleOpcode.Proto && start[1] is >= 1 and <= 5)
        {
            throw new DataFormatException(
                $"'{path}' is in PyTorch's old format from before 1.6 (a bare pickle), which is not supported; open it in Python and write it again with torch.save.");
        }

        if (read < 4 || !start.AsSpan().SequenceEqual("PK\x03\x04"u8))
        {
            throw new DataFormatException($"'{path}' is not a PyTorch checkpoint: it is no zip archive ({stream.Length} bytes). Was a web page or an incomplete download saved?");
        }
    }

    private static void CheckByteOrder(StoredZip zip, string root, string path)
    {
        var member = root + "byteorder";
        if (zip.Contains(member) && Encoding.ASCII.GetString(zip.Read(member, 16)) is var order and not "little")
        {
            throw new DataFormatException($"'{path}' was written with byte order {StoredFile.Quote(order)}; little-endian files are understood.");
        }
    }

    /// <summary>('storage', type, key, device, element count): the device is where it was, not where it goes.</summary>
    private static TorchStorage LoadStorage(StoredZip zip, string root, string path, Dictionary<string, byte[]> storages, object? id)
    {
        if (id is not List<object?> parts || parts is not ["storage", ElementType type, string key, _, long count])
        {
            throw new DataFormatException($"'{path}' is not a valid PyTorch checkpoint: it refers to a storage in an unknown way.");
        }

        var member = $"{root}data/{key}";
        var bytes = StoredShape.ByteCountInMemory($"{path}: {member}", type, [count]);
        if (!storages.TryGetValue(key, out var content))
        {
            if (zip.IsCompressed(member) || zip.LengthOf(member) != bytes)
            {
                throw new DataFormatException($"'{path}: {member}' should hold {bytes} uncompressed bytes but declares {zip.LengthOf(member)}; the file is damaged.");
            }

            storages[key] = content = zip.Read(member, bytes);
        }

        return content.Length == bytes
            ? new TorchStorage(type, content)
            : throw new DataFormatException($"'{path}: {member}' is used with {bytes} bytes but holds {content.Length}; the file is damaged.");
    }
}
