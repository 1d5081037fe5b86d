using CsCheck;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Tests.Checkpoints;

public sealed class StoredTensorTests
{
    private static readonly IReadOnlyList<ElementType> AllTypes = Enum.GetValues<ElementType>();

    [Fact]
    public void Parts_equal_the_whole() => Stored.Tensors(AllTypes).Where(t => t.Count > 0).Sample(
        tensor =>
        {
            using var folder = new TemporaryFolder();
            SafetensorsFile.Write(folder["a"], Stored.Named(tensor));
            using var file = SafetensorsFile.Open(folder["a"]);
            AssertParts(tensor, file.Tensors["a"]);
        },
        iter: 100);

    [Fact]
    public void Strided_views_equal_a_plain_loop() => Gen.Select(Gen.Long[1, 4].Array[1, 4], Gen.Int[0, AllTypes.Count - 1], Gen.Int[0, 1000]).Sample(
        (shape, typeIndex, seed) =>
        {
            var type = AllTypes[typeIndex];
            var random = new Random(seed);
            var strides = shape.Select(_ => random.NextInt64(0, 6)).ToArray();
            var reach = 1 + shape.Zip(strides, (extent, stride) => (extent - 1) * stride).Sum();
            var memory = new byte[reach * type.Size()];
            random.NextBytes(memory);
            var expected = new HostTensor(
                type, shape, Enumerate(shape, strides).SelectMany(i => memory.AsSpan((int)i * type.Size(), type.Size()).ToArray()).ToArray());
            var actual = new LaidOutTensor((offset, length) => memory.AsSpan((int)offset, length), new Lazy<long>(0L), type, shape, strides);
            Stored.AssertEqual(expected, actual.Read());
            AssertParts(expected, actual);
        },
        iter: 300);

    [Theory]
    [InlineData(ElementType.Float32)]
    [InlineData(ElementType.Float16)]
    [InlineData(ElementType.BFloat16)]
    public void Conversion_rounds_each_element_by_itself(ElementType type)
    {
        // Every float16 and bfloat16, ties, infinities, NaN, and more elements than one part holds.
        var values = Enumerable.Range(0, 70_000).Select(i => BitConverter.UInt32BitsToSingle((uint)i * 61_357u)).Append(float.NaN).ToArray();
        var converted = StoredTensor.From(HostTensor.FromSingles([values.Length], values)).As(type).Read();
        for (var i = 0; i < values.Length; i++)
        {
            switch (type)
            {
                case ElementType.Float16: Assert.Equal((Half)values[i], converted.AsSpan<Half>()[i]); break;
                case ElementType.BFloat16: Assert.Equal(BFloat16.FromSingle(values[i]), converted.AsSpan<ushort>()[i]); break;
                default: Assert.Equal(values[i], converted.AsSpan<float>()[i]); break;
            }
        }
    }

    [Fact]
    public void Bfloat16_rounds_to_nearest_even()
    {
        Assert.Equal(0x3F80, BFloat16.FromSingle(1f));
        Assert.Equal(0x3F80, BFloat16.FromSingle(BitConverter.UInt32BitsToSingle(0x3F808000)));
        Assert.Equal(0x3F82, BFloat16.FromSingle(BitConverter.UInt32BitsToSingle(0x3F818000)));
        Assert.Equal(0x3F81, BFloat16.FromSingle(BitConverter.UInt32BitsToSingle(0x3F808001)));
        Assert.Equal(0x7F80, BFloat16.FromSingle(float.MaxValue));
        Assert.Equal(0x7FC0, BFloat16.FromSingle(float.NaN));
    }

    [Fact]
    public void Narrow_types_widen_to_what_they_mean()
    {
        Assert.Equal([1f, -448f, 0.001953125f, float.NaN], Singles(ElementType.Float8E4M3, 0x38, 0xFE, 0x01, 0x7F));
        Assert.Equal([1f, -57344f, float.PositiveInfinity, 1.52587890625e-05f], Singles(ElementType.Float8E5M2, 0x3C, 0xFB, 0x7C, 0x01));
        Assert.Equal(1f, BFloat16.ToSingle(0x3F80));
        Assert.Equal(
            [1f, -448f], StoredTensor.From(new HostTensor(
            ElementType.Float8E4M3, [2], new byte[] { 0x38, 0xFE })).As(ElementType.Float32).Read().ToSingles());
    }

    [Fact]
    public void Integers_keep_their_type()
        => Assert.Equal(ElementType.Int64, StoredTensor.From(new HostTensor(ElementType.Int64, [1], new byte[8])).As(ElementType.BFloat16).Type);

    private static float[] Singles(ElementType type, params byte[] bytes) => new HostTensor(type, [bytes.Length], bytes).ToSingles();

    private static void AssertParts(HostTensor expected, StoredTensor actual)
    {
        var size = expected.Type.Size();
        for (var first = 0; first < expected.Count; first++)
        {
            var part = new byte[(expected.Count - first + 1) / 2 * size];
            actual.CopyTo(first * size, part);
            Assert.True(expected.Bytes.Span.Slice(first * size, part.Length).SequenceEqual(part));
        }
    }

    private static IEnumerable<long> Enumerate(long[] shape, long[] strides)
        => shape.Zip(strides).Aggregate(
            (IEnumerable<long>)[0L], (starts, axis) => starts.SelectMany(
            start => Enumerable.Range(0, (int)axis.First).Select(i => start + (i * axis.Second))));
}
