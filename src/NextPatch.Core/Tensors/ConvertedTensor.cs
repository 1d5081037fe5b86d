using System.Runtime.InteropServices;

namespace NextPatch.Core.Tensors;

/// <summary>Another tensor's values rounded to the nearest of another floating-point type (ties to even), part by part.</summary>
internal sealed class ConvertedTensor : StoredTensor
{
    private const int PartElements = 1 << 16;

    private readonly StoredTensor _source;

    public ConvertedTensor(StoredTensor source, ElementType type)
        : base(type, source.Shape)
    {
        if (type is not (ElementType.Float32 or ElementType.Float16 or ElementType.BFloat16))
        {
            throw new ArgumentOutOfRangeException(nameof(type), type, "tensors are converted to Float32, Float16 or BFloat16");
        }

        _source = source;
    }

    public override void CopyTo(long offset, Span<byte> destination)
    {
        var (from, to) = (_source.Type.Size(), Type.Size());
        var buffer = new byte[Math.Min(PartElements, destination.Length / to) * from];
        var values = new float[buffer.Length / from];
        for (var first = offset / to; !destination.IsEmpty;)
        {
            var count = Math.Min(PartElements, destination.Length / to);
            var part = buffer.AsSpan(0, count * from);
            _source.CopyTo(first * from, part);
            Widen(part, values);
            Narrow(values.AsSpan(0, count), destination[..(count * to)]);
            destination = destination[(count * to)..];
            first += count;
        }
    }

    private void Widen(ReadOnlySpan<byte> from, Span<float> to)
    {
        switch (_source.Type)
        {
            case ElementType.Float32:
                MemoryMarshal.Cast<byte, float>(from).CopyTo(to);
                break;
            case ElementType.BFloat16:
                BFloat16.Widen(MemoryMarshal.Cast<byte, ushort>(from), to);
                break;
            case ElementType.Float16:
                Map(MemoryMarshal.Cast<byte, Half>(from), to, v => (float)v);
                break;
            case ElementType.Float64:
                Map(MemoryMarshal.Cast<byte, double>(from), to, v => (float)v);
                break;
            case ElementType.Float8E4M3:
                Map(from, to, Float8.FromE4M3);
                break;
            default:
                Map(from, to, Float8.FromE5M2);
                break;
        }
    }

    private void Narrow(ReadOnlySpan<float> from, Span<byte> to)
    {
        switch (Type)
        {
            case ElementType.Float32:
                MemoryMarshal.AsBytes(from).CopyTo(to);
                break;
            case ElementType.BFloat16:
                BFloat16.Narrow(from, MemoryMarshal.Cast<byte, ushort>(to));
                break;
            default:
                Map(from, MemoryMarshal.Cast<byte, Half>(to), v => (Half)v);
                break;
        }
    }

    private static void Map<TFrom, TTo>(ReadOnlySpan<TFrom> from, Span<TTo> to, Func<TFrom, TTo> convert)
    {
        for (var i = 0; i < from.Length; i++)
        {
            to[i] = convert(from[i]);
        }
    }
}
