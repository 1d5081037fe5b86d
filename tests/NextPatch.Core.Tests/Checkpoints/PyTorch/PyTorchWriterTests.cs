using System.Buffers.Binary;
using System.IO.Compression;
using CsCheck;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Tests.Checkpoints.PyTorch;

/// <summary>What we write is compared with what torch.save wrote.</summary>
public sealed class PyTorchWriterTests
{
    private static readonly IReadOnlyList<ElementType> TorchTypes =
        [.. Enum.GetValues<ElementType>().Where(t => t is not (ElementType.UInt16 or ElementType.UInt32 or ElementType.UInt64))];

    [Fact]
    public void Tensors_of_every_type_are_read_back_to_the_bit()
    {
        using var folder = new TemporaryFolder();
        Stored.Tensors(TorchTypes).Array[0, 6].Sample(
            tensors =>
            {
                var state = Stored.Named(tensors);
                PyTorchFile.Write(folder["a.pt"], state, key: null);
                var read = Assert.IsType<Dictionary<object, object?>>(PyTorchFile.Read(folder["a.pt"]));
                Assert.Equal(state.Select(pair => (object)pair.Key), read.Keys);
                Assert.All(state, pair => Stored.AssertEqual(pair.Value, Assert.IsType<HostTensor>(read[pair.Key])));
            },
            iter: 100,
            threads: 1);
    }

    [Fact]
    public void A_file_of_torch_save_is_reproduced_to_the_pickle_and_storage()
    {
        using var folder = new TemporaryFolder();
        var original = Stored.Fixture("fsdp_bare.pth");
        PyTorchFile.Write(folder["fsdp_bare.pth"], PyTorchFile.ReadStateDict(original), key: null);
        var (expected, actual) = (Members(original), Members(folder["fsdp_bare.pth"]));
        Assert.Equal(expected.Keys.Append("fsdp_bare/byteorder").Order(), actual.Keys.Order());
        Assert.All(expected, member => Assert.Equal(member.Value, actual[member.Key]));
        Assert.Equal("little"u8, actual["fsdp_bare/byteorder"]);
    }

    [Fact]
    public void Members_begin_at_multiples_of_64_bytes_as_in_files_of_torch_save()
    {
        using var folder = new TemporaryFolder();
        PyTorchFile.Write(folder["b.pt"], PyTorchFile.ReadStateDict(Stored.Fixture("fsdp_bare.pth")));
        Assert.All(DataOffsets(Stored.Fixture("fsdp_bare.pth"), hasLengths: false).Take(1), offset => Assert.Equal(0, offset % 64));
        var offsets = DataOffsets(folder["b.pt"], hasLengths: true);
        Assert.Equal(14, offsets.Count);
        Assert.All(offsets, offset => Assert.Equal(0, offset % 64));
    }

    [Fact]
    public void Weights_lie_under_the_key_that_was_asked_for()
    {
        using var folder = new TemporaryFolder();
        var state = Stored.Named(HostTensor.FromSingles([2], [1, 2]));
        PyTorchFile.Write(folder["a.pt"], state);
        Assert.Equal(["model"], Assert.IsType<Dictionary<object, object?>>(PyTorchFile.Read(folder["a.pt"])).Keys);
        PyTorchFile.Write(folder["a.pt"], state, "ema");
        Assert.Equal(["a"], PyTorchFile.ReadStateDict(folder["a.pt"], "ema").Keys);
    }

    [Fact]
    public void Thousands_of_tensors_are_written_in_groups()
    {
        using var folder = new TemporaryFolder();
        var state = Enumerable.Range(0, 2001).Select(i => KeyValuePair.Create($"w{i}", HostTensor.FromSingles([], [i]))).ToList();
        PyTorchFile.Write(folder["a.pt"], state);
        var read = PyTorchFile.ReadStateDict(folder["a.pt"]);
        Assert.Equal(2001, read.Count);
        Assert.All(state, pair => Stored.AssertEqual(pair.Value, read[pair.Key]));
    }

    [Theory]
    [InlineData(ElementType.UInt16)]
    [InlineData(ElementType.UInt64)]
    [InlineData(ElementType.Float8E4M3)]
    [InlineData(ElementType.Float8E5M2)]
    public void Types_without_a_storage_class_are_views_of_bytes(ElementType type)
    {
        using var folder = new TemporaryFolder();
        var state = Stored.Named(new HostTensor(type, [2, 3], Enumerable.Range(0, 6 * type.Size()).Select(i => (byte)i).ToArray()));
        PyTorchFile.Write(folder["a.pt"], state);
        Stored.AssertEqual(state[0].Value, PyTorchFile.ReadStateDict(folder["a.pt"])["a"]);
    }

    [Fact]
    public void What_a_training_script_saved_goes_back_as_it_was()
    {
        using var folder = new TemporaryFolder();
        var original = (Dictionary<object, object?>)PyTorchFile.Read(Stored.Fixture("official.pt"))!;
        original.Remove("args"); // a Namespace comes back as a dictionary, compared below
        PyTorchFile.Write(folder["a.pt"], (object)original);
        Stored.AssertSame(original, PyTorchFile.Read(folder["a.pt"]));
    }

    [Fact]
    public void Tied_weights_share_one_storage()
    {
        using var folder = new TemporaryFolder();
        var tensor = HostTensor.FromSingles([1000], new float[1000]);
        PyTorchFile.Write(folder["a.pt"], (object)new Dictionary<object, object?> { ["a"] = tensor, ["b"] = tensor });
        Assert.InRange(new FileInfo(folder["a.pt"]).Length, 4000, 6000);
        Assert.Equal(["a", "b"], PyTorchFile.ReadStateDict(folder["a.pt"]).Keys);
    }

    [Fact]
    public void A_value_without_counterpart_is_refused_by_its_name_and_nothing_is_written()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains(
            "'when'", Assert.Throws<NextPatchException>(
            () => PyTorchFile.Write(folder["a.pt"], (object)new Dictionary<object, object?> { ["when"] = DateTime.MinValue })).Message,
            StringComparison.Ordinal);
        Dictionary<object, object?> circle = [];
        circle["self"] = circle;
        Assert.Throws<NextPatchException>(() => PyTorchFile.Write(folder["a.pt"], (object)circle));
        Assert.Empty(Directory.GetFiles(folder[""]));
    }

    [Fact]
    public void A_name_used_twice_is_refused()
    {
        using var folder = new TemporaryFolder();
        var pair = KeyValuePair.Create("a", HostTensor.FromSingles([], [1]));
        Assert.Throws<ArgumentException>(() => PyTorchFile.Write(folder["a.pt"], [pair, pair]));
    }

    [Fact]
    public void A_failed_write_leaves_the_file_that_was_there()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["a.pt"], "old");
        Assert.Throws<NextPatchException>(() => StoredFile.Replace(folder["a.pt"], _ => throw new IOException("disk full")));
        Assert.Equal("old", File.ReadAllText(folder["a.pt"]));
        Assert.False(File.Exists(folder["a.pt.partial"]));
    }

    private static Dictionary<string, byte[]> Members(string path)
    {
        using var zip = ZipFile.OpenRead(path);
        return zip.Entries.ToDictionary(entry => entry.FullName, entry =>
        {
            using var stream = entry.Open();
            var bytes = new byte[entry.Length];
            stream.ReadExactly(bytes);
            return bytes;
        });
    }

    /// <summary>Where the content of each member begins; files with data descriptors show only their first.</summary>
    private static List<int> DataOffsets(string path, bool hasLengths)
    {
        var (bytes, offsets, at) = (File.ReadAllBytes(path), new List<int>(), 0);
        while (BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at)) == 0x04034B50)
        {
            var header = bytes.AsSpan(at, 30);
            offsets.Add(at + 30 + BinaryPrimitives.ReadUInt16LittleEndian(header[26..]) + BinaryPrimitives.ReadUInt16LittleEndian(header[28..]));
            if (!hasLengths)
            {
                break;
            }

            at = offsets[^1] + BinaryPrimitives.ReadInt32LittleEndian(header[18..]);
        }

        return offsets;
    }
}
