using NextPatch.Core.Checkpoints.Pickle;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.PyTorch;

/// <summary>Finds the weights in what training scripts save, and gives them the names of the model's own modules.</summary>
internal static class StateMap
{
    /// <summary>Where scripts put the weights: LlamaGen and NPP, DeepSpeed, Lightning.</summary>
    public static readonly IReadOnlyList<string> ModelKeys = ["model", "module", "state_dict"];

    /// <summary>Where they put the average.</summary>
    public static readonly IReadOnlyList<string> EmaKeys = ["ema", "ema_state_dict", "model_ema"];

    /// <summary>A table that is computed anew.</summary>
    private const string RotaryTable = "freqs_cis";

    // DistributedDataParallel and DeepSpeed put their name first; torch.compile, FSDP and checkpointing also in the middle.
    private const string ParallelPrefix = "module.";

    private static readonly string[] Wrappers = ["_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."];

    /// <summary>The dictionary of tensors under the first of some keys that has one; null if none has.</summary>
    /// <returns>Its key ("" = the checkpoint itself, asked for by that key) and the tensors.</returns>
    public static (string Key, Dictionary<object, object?> Weights)? Find(object? content, IEnumerable<string> keys, string path)
    {
        if (content is UnknownPickleValue model)
        {
            throw new DataFormatException(
                $"'{path}' holds a whole {StoredFile.Quote(model.Name)} object, not its weights; save model.state_dict() in Python.");
        }

        if (content is not Dictionary<object, object?> top)
        {
            throw new DataFormatException(
                $"'{path}' does not hold a dictionary at its top; save model.state_dict() or a dictionary that contains it.");
        }

        foreach (var key in keys)
        {
            if ((key.Length == 0 ? top : top.GetValueOrDefault(key)) is Dictionary<object, object?> candidate
                && candidate.Values.Any(value => value is StoredTensor))
            {
                return (key, candidate);
            }
        }

        return null;
    }

    /// <summary>Tensors by name without the prefixes of wrappers, and without tables that are computed anew.</summary>
    /// <exception cref="DataFormatException">Two tensors have one name then.</exception>
    public static Dictionary<string, StoredTensor> Clean(IEnumerable<KeyValuePair<string, StoredTensor>> tensors, string path)
    {
        var clean = new Dictionary<string, StoredTensor>();
        foreach (var (key, tensor) in tensors)
        {
            var name = NameOf(key);
            if (name != RotaryTable && !clean.TryAdd(name, tensor))
            {
                throw new DataFormatException(
                    $"'{path}' holds two weights named {StoredFile.Quote(name)} once the prefixes of wrappers are removed.");
            }
        }

        return clean;
    }

    /// <summary>The tensors of a dictionary from a pickle, which may hold other things.</summary>
    public static IEnumerable<KeyValuePair<string, StoredTensor>> TensorsOf(Dictionary<object, object?> weights)
        => weights.Where(p => p.Key is string && p.Value is StoredTensor).Select(p => KeyValuePair.Create((string)p.Key, (StoredTensor)p.Value!));

    /// <summary>
    /// The rotary table that some checkpoints carry, [1 + codes, head width / 2, 2] or [1 + codes, head width / 2] of complex numbers; null where
    /// there is none.
    /// </summary>
    public static StoredTensor? RotaryTableOf(IEnumerable<KeyValuePair<string, StoredTensor>> tensors)
        => tensors.FirstOrDefault(p => NameOf(p.Key) == RotaryTable).Value;

    private static string NameOf(string key)
    {
        foreach (var wrapper in Wrappers)
        {
            key = key.Replace(wrapper, "", StringComparison.Ordinal);
        }

        while (key.StartsWith(ParallelPrefix, StringComparison.Ordinal))
        {
            key = key[ParallelPrefix.Length..];
        }

        return key;
    }
}
