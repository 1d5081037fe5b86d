using System.Runtime.CompilerServices;
using NextPatch.Core.Checkpoints.Pickle;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.PyTorch;

/// <summary>Checkpoints written by torch.save, in its zip format and in the older one.</summary>
/// <remarks>
/// Nothing in the file is executed: the pickle is read by <see cref="Unpickler"/> against the allow-list of
/// <see cref="TorchGlobals"/>. Source of the layout: torch/serialization.py.
/// </remarks>
public static class PyTorchFile
{
    /// <summary>A checkpoint of a thousand tensors needs some 200 KB.</summary>
    internal const int MaxPickleBytes = 64 << 20;

    /// <summary>Opens a checkpoint without reading its tensors.</summary>
    /// <exception cref="DataFormatException">Damaged, of another format, or asking for a Python name that is not allowed.</exception>
    public static PyTorchCheckpoint Open(string path)
    {
        var container = OpenContainer(path);
        try
        {
            return new PyTorchCheckpoint(path, new PickleTree<TorchTensor>(container.Locate).Replace(container.Unpickle()), container);
        }
        catch
        {
            container.Dispose();
            throw;
        }
    }

    /// <summary>Reads a checkpoint as plain values.</summary>
    /// <returns>
    /// Dictionary&lt;object, object?&gt; for dictionaries and argparse.Namespace, List&lt;object?&gt; for lists, tuples and sets,
    /// string (also for devices and paths), long (BigInteger beyond 64 bits), double, Complex, bool, byte[], <see cref="ElementType"/> for dtypes,
    /// null, <see cref="UnknownPickleValue"/> for data of other classes, and contiguous <see cref="HostTensor"/>s. A tensor that
    /// occurs twice is the same object twice.
    /// </returns>
    /// <exception cref="DataFormatException">Damaged, of another format, or asking for a Python name that is not allowed.</exception>
    public static object? Read(string path)
    {
        using var checkpoint = Open(path);
        return new PickleTree<StoredTensor>(tensor => tensor.Read()).Replace(checkpoint.Content);
    }

    /// <summary>Reads the weights in a checkpoint; <c>WeightsFile</c> opens them without reading.</summary>
    /// <param name="path">The file.</param>
    /// <param name="preferredKeys">Top-level keys to look under first, best first ("ema", "discriminator"); then come "model",
    /// "module", "state_dict", "ema", "discriminator", and last the checkpoint itself.</param>
    /// <returns>Tensors by name without the prefixes of wrappers; "freqs_cis", a table that is computed anew, is left out.</returns>
    /// <exception cref="DataFormatException">As <see cref="Read"/>, or no weights are found.</exception>
    public static IReadOnlyDictionary<string, HostTensor> ReadStateDict(string path, params string[] preferredKeys)
    {
        using var checkpoint = Open(path);
        List<string> keys = [.. preferredKeys, .. StateMap.ModelKeys, .. StateMap.EmaKeys, "discriminator", ""];
        var (_, weights) = StateMap.Find(checkpoint.Content, keys, path) ?? throw checkpoint.WithoutWeights(keys);
        return StateMap.Clean(StateMap.TensorsOf(weights), path).ToDictionary(p => p.Key, p => p.Value.Read());
    }

    /// <summary>Writes weights as torch.save does, for torch.load with and without weights_only=True.</summary>
    /// <param name="path">The file; an existing one is replaced once the new one is complete on disk.</param>
    /// <param name="state">Tensors by name, in this order. The same content gives the same bytes.</param>
    /// <param name="key">What the file's dictionary calls them; null to make them its top.</param>
    /// <exception cref="NextPatchException">The file cannot be written.</exception>
    /// <exception cref="ArgumentException">Two tensors have one name.</exception>
    public static void Write(string path, IEnumerable<KeyValuePair<string, StoredTensor>> state, string? key = "model")
    {
        var tensors = state.ToList();
        var twice = tensors.GroupBy(pair => pair.Key).FirstOrDefault(group => group.Count() > 1);
        if (twice is not null)
        {
            throw new ArgumentException($"The tensor name '{twice.Key}' is used twice.", nameof(state));
        }

        Write(path, key is null ? tensors : new Dictionary<object, object?> { [key] = tensors });
    }

    /// <inheritdoc cref="Write(string, IEnumerable{KeyValuePair{string, StoredTensor}}, string?)"/>
    [OverloadResolutionPriority(1)]
    public static void Write(string path, IEnumerable<KeyValuePair<string, HostTensor>> state, string? key = "model")
        => Write(path, state.Select(pair => KeyValuePair.Create(pair.Key, StoredTensor.From(pair.Value))), key);

    /// <summary>Writes plain values and tensors as torch.save does: what came from Python goes back.</summary>
    /// <param name="path">The file; an existing one is replaced once the new one is complete on disk.</param>
    /// <param name="content">
    /// Dictionary&lt;object, object?&gt;, List&lt;object?&gt;, string, long, double, bool, null, <see cref="HostTensor"/> and
    /// <see cref="StoredTensor"/>;
    /// lists of named tensors become OrderedDicts. A tensor object that occurs twice shares its storage.
    /// </param>
    /// <exception cref="NextPatchException">The file cannot be written, or a value is of another type.</exception>
    public static void Write(string path, object? content) => StoredFile.Replace(path, stream => TorchZipWriter.Write(stream, RootOf(path), content));

    /// <summary>The folder inside the archive: the file's name, as torch.save has it.</summary>
    private static string RootOf(string path) => Path.GetFileNameWithoutExtension(path) is { Length: > 0 } stem ? stem : "archive";

    private static ITorchContainer OpenContainer(string path)
    {
        using var stream = StoredFile.OpenRead(path, FileOptions.RandomAccess);
        var start = new byte[4];
        var read = stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        if (read == start.Length && start.AsSpan().SequenceEqual("PK\x03\x04"u8))
        {
            return new TorchZipContainer(path);
        }

        return read >= 2 && start[0] == (byte)PickleOpcode.Proto && start[1] is >= 1 and <= 5
            ? new TorchLegacyContainer(path)
            : throw new DataFormatException(
                $"'{path}' is not a PyTorch checkpoint: it is neither a zip archive nor a pickle ({stream.Length} bytes). Was a web page or an "
                + $"incomplete download saved?{FileContents.Remark(path)}");
    }
}
