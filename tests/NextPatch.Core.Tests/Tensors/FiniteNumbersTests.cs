using System.Runtime.InteropServices;
using CsCheck;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Tests.Tensors;

public sealed class FiniteNumbersTests
{
    [Fact]
    public void The_first_number_that_is_not_finite_is_found_wherever_it_stands()
        => Gen.Select(Gen.Float.Array[0, 70], Gen.Int[0, 69]).Sample((numbers, at) =>
        {
            var finite = Array.ConvertAll(numbers, n => float.IsFinite(n) ? n : 1);
            var broken = finite.ToArray();
            if (at < broken.Length)
            {
                broken[at] = at % 3 == 0 ? float.NaN : at % 3 == 1 ? float.PositiveInfinity : float.NegativeInfinity;
            }

            return FiniteNumbers.FirstNotFinite(finite) == -1 && FiniteNumbers.FirstNotFinite(broken) == (at < broken.Length ? at : -1);
        });

    [Fact]
    public void Every_type_of_real_numbers_is_looked_through()
    {
        Assert.Equal(1, FiniteNumbers.FirstNotFinite(ElementType.Float64, MemoryMarshal.AsBytes<double>([double.MaxValue, double.NaN])));
        Assert.Equal(1, FiniteNumbers.FirstNotFinite(ElementType.Float16, MemoryMarshal.AsBytes<Half>([Half.MaxValue, Half.PositiveInfinity])));
        Assert.Equal(1, FiniteNumbers.FirstNotFinite(ElementType.BFloat16, MemoryMarshal.AsBytes<ushort>([0x7F7F, 0xFF80])));
        Assert.Equal(-1, FiniteNumbers.FirstNotFinite(ElementType.Int32, MemoryMarshal.AsBytes<uint>([0x7F80_0000])));
    }
}
