using System.Runtime.InteropServices;
using NextPatch.Core;
using NextPatch.Core.Tensors;

namespace NextPatch.Torch.Perception;

/// <summary>The tensors of a pretrained network, taken one by one; what is missing, of another shape, not finite or left over is an error.</summary>
internal sealed class PretrainedWeights
{
    private const long Any = -1;

    private readonly IReadOnlyDictionary<string, StoredTensor> _tensors;
    private readonly HashSet<string> _taken = [];
    private readonly string _source;
    private readonly string _network;

    /// <param name="tensors">By key, of an open file.</param>
    /// <param name="source">What messages call the file.</param>
    /// <param name="network">What messages call the network that is expected.</param>
    public PretrainedWeights(IReadOnlyDictionary<string, StoredTensor> tensors, string source, string network)
        => (_tensors, _source, _network) = (tensors, source, network);

    public bool Has(string key) => _tensors.ContainsKey(key);

    /// <summary>Extents of a tensor that must exist.</summary>
    /// <exception cref="DataFormatException">It is missing.</exception>
    public IReadOnlyList<long> ShapeOf(string key) => Find(key).Shape;

    /// <summary>A tensor's elements in C order, converted to float32.</summary>
    /// <param name="key">Its name.</param>
    /// <param name="shape">The extents it must have; -1 where any will do.</param>
    /// <exception cref="DataFormatException">Missing, of another shape or type, damaged, or with a number that is not finite.</exception>
    public float[] Take(string key, params ReadOnlySpan<long> shape)
    {
        var found = Find(key).As(ElementType.Float32);
        var fits = found.Shape.Count == shape.Length;
        for (var i = 0; fits && i < shape.Length; i++)
        {
            fits = shape[i] == Any ? found.Shape[i] > 0 : shape[i] == found.Shape[i];
        }

        if (!fits || found.Type != ElementType.Float32)
        {
            throw Mismatch(
                $"'{key}' is {found}, expected {ElementType.Float32} "
                + $"{HostTensor.Describe([.. shape]).Replace("-1", "any", StringComparison.Ordinal)}");
        }

        _taken.Add(key);
        var values = new float[found.Count];
        found.CopyTo(0, MemoryMarshal.AsBytes(values.AsSpan()));
        return FiniteNumbers.FirstNotFinite(values) >= 0
            ? throw Mismatch($"'{key}' holds numbers that are not finite")
            : values;
    }

    /// <summary>Refuses what was not taken: a larger network of the same kind must not pass for a smaller one.</summary>
    /// <param name="mayRemain">Keys that a file may hold although the network does not need them.</param>
    /// <exception cref="DataFormatException">Tensors are left over.</exception>
    public void ExpectNoOthers(Func<string, bool>? mayRemain = null)
    {
        if (_tensors.Keys.Where(key => !_taken.Contains(key) && mayRemain?.Invoke(
            key) != true).Order(StringComparer.Ordinal).ToList() is { Count: > 0 } others)
        {
            throw Mismatch($"{others.Count} of its {_tensors.Count} tensors have no place in it, the first is '{others[0]}'");
        }
    }

    /// <summary>The one error of wrong weights.</summary>
    /// <param name="difference">What is missing or other than expected.</param>
    public DataFormatException Mismatch(string difference)
        => new($"'{_source}' does not hold the weights of {_network}: {difference}. Give the file that belongs to this network.");

    private StoredTensor Find(string key) => _tensors.GetValueOrDefault(key) ?? throw Mismatch($"it has no tensor '{key}'");
}
