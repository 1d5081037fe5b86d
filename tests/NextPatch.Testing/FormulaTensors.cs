using NextPatch.Core.Tensors;

namespace NextPatch.Testing;

/// <summary>Weights computed by a hash of (name, element): the same on every machine, without a file.</summary>
public static class FormulaTensors
{
    /// <summary>Number i of a stream in [-1, 1), exact in float32 (SplitMix64, its upper 24 bits).</summary>
    public static float Value(uint seed, uint index)
    {
        unchecked
        {
            var z = (((ulong)seed << 32) | index) + 0x9E3779B97F4A7C15;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            return ((long)((z ^ (z >> 31)) >> 40) - 8388608) / 8388608f;
        }
    }

    /// <summary>A tensor whose elements are offset + scale * <see cref="Value"/>.</summary>
    public static StoredTensor Make(string name, float scale, float offset, params long[] shape)
    {
        var seed = System.IO.Hashing.Crc32.HashToUInt32(System.Text.Encoding.UTF8.GetBytes(name));
        var values = new float[HostTensor.CountElements(shape)];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = offset + (scale * Value(seed, (uint)i));
        }

        return StoredTensor.From(HostTensor.FromSingles(shape, values));
    }

    /// <summary>A convolution's weight of He et al.'s spread.</summary>
    public static StoredTensor Convolution(string name, params long[] shape)
        => Make(name, MathF.Sqrt(6f / (shape[1] * shape[2] * shape[3])), 0, shape);
}
