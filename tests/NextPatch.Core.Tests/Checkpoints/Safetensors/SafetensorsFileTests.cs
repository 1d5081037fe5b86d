using System.Text;
using CsCheck;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Tests.Checkpoints.Safetensors;

public sealed class SafetensorsFileTests
{
    [Fact]
    public void What_is_written_is_read_in_order() => Stored.Tensors(Enum.GetValues<ElementType>()).Array[0, 4].Sample(
        tensors =>
        {
            using var folder = new TemporaryFolder();
            var named = Stored.Named(tensors).AsEnumerable().Reverse().ToList();
            SafetensorsFile.Write(folder["a"], named);
            var read = SafetensorsFile.Read(folder["a"]);
            Assert.Equal(named.Select(pair => pair.Key), read.Keys);
            Assert.All(named, pair => Stored.AssertEqual(pair.Value, read[pair.Key]));
        },
        iter: 50);

    [Fact]
    public void The_bytes_are_those_of_the_format()
    {
        using var folder = new TemporaryFolder();
        SafetensorsFile.Write(
            folder["a"],
            [new("w", HostTensor.From<short>(ElementType.Int16, [2], [1, 2])), new("b", HostTensor.From<byte>(ElementType.UInt8, [], [9]))],
            new Dictionary<string, string> { ["step"] = "3", ["format"] = "pt" });
        var header = """{"__metadata__":{"format":"pt","step":"3"},"w":{"dtype":"I16","shape":[2],"data_offsets":[0,4]},"b":"""
            + """{"dtype":"U8","shape":[],"data_offsets":[4,5]}}""";
        Assert.Equal(WithHeader(header.PadRight((header.Length + 7) / 8 * 8), [1, 0, 2, 0, 9]), File.ReadAllBytes(folder["a"]));
    }

    [Fact]
    public void Header_and_single_tensors_are_read_alone()
    {
        using var folder = new TemporaryFolder();
        SafetensorsFile.Write(
            folder["a"], Stored.Named(HostTensor.FromSingles([1], [5]), HostTensor.FromSingles([2], [6, 7])), new Dictionary<string, string>
            {
                ["k"] = "v",
            });
        using var file = SafetensorsFile.Open(folder["a"]);
        Assert.Equal("v", file.Metadata["k"]);
        Assert.Equal([6f, 7f], file.Tensors["b"].Read().ToSingles());
        Assert.True(file.Tensors["b"].TryGetSpan(4, 4, out var last));
        Assert.Equal(7f, BitConverter.ToSingle(last));
    }

    [Fact]
    public void Damage_is_refused_or_harmless()
    {
        using var folder = new TemporaryFolder();
        SafetensorsFile.Write(
            folder["a"], Stored.Named(HostTensor.FromSingles([2], [6, 7]), HostTensor.FromSingles([], [1])), new Dictionary<string, string>
            {
                ["k"] = "v",
            });
        var whole = File.ReadAllBytes(folder["a"]);
        Stored.AssertRefusedWhenTruncated(whole, path => SafetensorsFile.Read(path));
        Stored.AssertSafeWhenDamaged(whole, path => SafetensorsFile.Read(path));
    }

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[1152921504606846976],"data_offsets":[0,4]}}""", "1152921504606846976")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}}""", "impossible shape")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""", "negative")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", "ends beyond")]
    [InlineData("""{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}""", "the file has")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}""", "needs 4 bytes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":"""
            + """{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "overlap")]
    [InlineData("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}""", "hole")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "declared twice")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"dtype":"F32"}}""", "repeated key 'dtype'")]
    [InlineData("""{"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}""", "'F33'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}""", "integers")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1]}}""", "data_offsets")]
    [InlineData("""{"__metadata__":{"a":1},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "a string")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} x""", "JSON")]
    [InlineData("""[[[[[[[[[[]]]]]]]]]]""", "an object")]
    public void Hostile_headers_are_refused_with_the_reason(string header, string named)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["a.safetensors"], WithHeader(header, [1, 2, 3, 4]));
        var error = Stored.Refused(() => SafetensorsFile.Read(folder["a.safetensors"]));
        Assert.Contains(named, error.Message, StringComparison.Ordinal);
        Assert.Contains("a.safetensors", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(long.MaxValue)]
    [InlineData(-1)]
    [InlineData(99_999_999)]
    public void A_header_longer_than_the_file_is_refused_without_allocation(long length)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["a"], [.. BitConverter.GetBytes(length), (byte)'{']);
        Stored.Refused(() => SafetensorsFile.Read(folder["a"]));
    }

    [Fact]
    public void Repeated_names_are_not_written()
        => Assert.Throws<ArgumentException>(
            () => SafetensorsFile.Write("unused", [new("a", HostTensor.FromSingles([], [1])), new("a", HostTensor.FromSingles([], [1]))], null));

    private static byte[] WithHeader(string header, byte[] data)
        => [.. BitConverter.GetBytes((long)Encoding.UTF8.GetByteCount(header)), .. Encoding.UTF8.GetBytes(header), .. data];
}
