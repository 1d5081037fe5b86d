using CsCheck;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Tests.Checkpoints;

/// <summary>What the tests of all formats share.</summary>
internal static class Stored
{
    public static readonly IReadOnlyList<ElementType> NumPyTypes =
        [.. Enum.GetValues<ElementType>().Where(t => t is not (ElementType.BFloat16 or ElementType.Float8E4M3 or ElementType.Float8E5M2))];

    public static string Fixture(string name) => Path.Combine(AppContext.BaseDirectory, "Fixtures", name);

    public static Gen<HostTensor> Tensors(IReadOnlyList<ElementType> types) =>
        from type in Gen.Int[0, types.Count - 1].Select(i => types[i])
        from shape in Gen.Long[0, 5].Array[0, 4]
        from bytes in Gen.Byte.Array[(int)HostTensor.CountElements(shape) * type.Size()]
        select new HostTensor(type, shape, bytes);

    /// <summary>Small arrays of distinct values, named a, b, ...</summary>
    public static List<KeyValuePair<string, HostTensor>> Named(params IEnumerable<HostTensor> tensors)
        => [.. tensors.Select((tensor, i) => KeyValuePair.Create(((char)('a' + i)).ToString(), tensor))];

    public static void AssertEqual(HostTensor expected, HostTensor actual)
    {
        Assert.Equal(expected.Type, actual.Type);
        Assert.Equal(expected.Shape, actual.Shape);
        Assert.True(expected.Bytes.Span.SequenceEqual(actual.Bytes.Span), $"the bytes of {expected} differ");
    }

    /// <summary>Equal plain values, as deep as they go.</summary>
    public static void AssertSame(object? expected, object? actual)
    {
        switch (expected)
        {
            case Dictionary<object, object?> dictionary:
                var other = Assert.IsAssignableFrom<Dictionary<object, object?>>(actual);
                Assert.Equal(dictionary.Keys, other.Keys);
                Assert.All(dictionary, pair => AssertSame(pair.Value, other[pair.Key]));
                break;
            case List<object?> list:
                Assert.All(Assert.IsType<List<object?>>(actual).Zip(list), pair => AssertSame(pair.Second, pair.First));
                break;
            case HostTensor tensor:
                AssertEqual(tensor, Assert.IsType<HostTensor>(actual));
                break;
            default:
                Assert.Equal(expected, actual);
                break;
        }
    }

    /// <summary>Same names, shapes and values after widening to float.</summary>
    public static void AssertEqualAsSingles(IReadOnlyDictionary<string, HostTensor> expected, IReadOnlyDictionary<string, HostTensor> actual)
    {
        Assert.Equal(expected.Keys.Order(), actual.Keys.Order());
        foreach (var (name, tensor) in expected)
        {
            Assert.Equal(tensor.Shape, actual[name].Shape);
            Assert.Equal(
                tensor.ToSingles().Select(BitConverter.SingleToInt32Bits),
                actual[name].ToSingles().Select(BitConverter.SingleToInt32Bits));
        }
    }

    /// <summary>A file cut anywhere is refused as damaged, never anything else.</summary>
    public static void AssertRefusedWhenTruncated(byte[] whole, Action<string> read)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["cut"], whole);
        for (var length = whole.Length - 1; length >= 0; length--)
        {
            using (var file = File.OpenHandle(folder["cut"], access: FileAccess.Write))
            {
                RandomAccess.SetLength(file, length);
            }

            Assert.Throws<DataFormatException>(() => read(folder["cut"]));
        }
    }

    /// <summary>A file with any one byte changed is read or refused as damaged, never anything else.</summary>
    public static void AssertSafeWhenDamaged(byte[] whole, Action<string> read)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["damaged"], whole);
        for (var i = 0; i < whole.Length; i++)
        {
            foreach (var mask in (ReadOnlySpan<byte>)[0x01, 0xFF])
            {
                Overwrite(folder["damaged"], i, (byte)(whole[i] ^ mask));
                try
                {
                    read(folder["damaged"]);
                }
                catch (DataFormatException)
                {
                }
            }

            Overwrite(folder["damaged"], i, whole[i]);
        }
    }

    public static DataFormatException Refused(Action read)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        var error = Assert.Throws<DataFormatException>(read);
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(allocated < 4 << 20, $"{allocated} bytes were allocated before the refusal");
        return error;
    }

    private static void Overwrite(string path, int offset, byte value)
    {
        using var file = File.OpenHandle(path, access: FileAccess.Write);
        RandomAccess.Write(file, [value], offset);
    }
}
