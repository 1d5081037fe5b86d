using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Tensors;
using NextPatch.Core.Tests.Checkpoints.Pickle;


namespace NextPatch.Core.Tests.Checkpoints.PyTorch;

/// <summary>Hostile and damaged files in the format of torch.save before PyTorch 1.6.</summary>
public sealed class PyTorchLegacyTests
{
    [Fact]
    public void Parts_of_one_storage_share_its_memory()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["a.pt"], Legacy(Content(4, (1, 3)), ["k"], (4, Enumerable.Range(0, 16).Select(i => (byte)i).ToArray())));
        var tensor = Assert.IsType<HostTensor>(PyTorchFile.Read(folder["a.pt"]));
        Assert.Equal(Enumerable.Range(4, 8).Select(i => (byte)i), tensor.Bytes.ToArray());
    }

    [Theory]
    [InlineData(1L << 60, "1152921504606846976")]
    [InlineData(1L << 30, "declares 4")]
    [InlineData(3, "declares 4")]
    [InlineData(5, "declares 4")]
    [InlineData(-1, "negative")]
    public void A_storage_of_another_size_is_refused(long count, string named)
        => Refused(Legacy(Content(count, null), ["k"], (4, new byte[16])), named);

    [Theory]
    [InlineData(0, 5)]
    [InlineData(-1, 2)]
    [InlineData(2, 3)]
    [InlineData(long.MaxValue, 2)]
    [InlineData(1, long.MaxValue)]
    public void A_part_outside_its_storage_is_refused(long first, long length)
        => Refused(Legacy(Content(4, (first, length)), ["k"], (4, new byte[16])), "outside the storage 'k'");

    [Fact]
    public void A_wrong_list_of_storages_is_refused()
    {
        Refused(Legacy(Content(4, null), ["other"], (4, new byte[16])), "list of storages");
        Refused(Legacy(Content(4, null), [], (4, new byte[16])), "'k' is not in its list");
        Refused(Legacy(Content(4, null), ["k", "k"], (4, new byte[16])), "list of storages");
    }

    [Fact]
    public void A_bare_pickle_is_refused_as_such() => Refused(new PickleBuilder().Dictionary().Bytes(), "bare pickle");

    [Fact]
    public void A_big_endian_machine_is_refused()
        => Refused([.. Magic(), .. new PickleBuilder().Integer(1001).Bytes(), .. new PickleBuilder().Dictionary().Bytes()], "little-endian");

    [Fact]
    public void Names_are_refused_in_every_pickle_of_the_file()
    {
        var call = new PickleBuilder().Global("os", "system").Text("echo").Raw(0x85, (byte)'R').Bytes();
        Refused(call, "'os.system'");
        Refused(Legacy(call, []), "'os.system'");
    }

    [Fact]
    public void Damage_is_refused_or_harmless()
    {
        var whole = Legacy(Content(4, (1, 3)), ["k"], (4, new byte[16]));
        Stored.AssertRefusedWhenTruncated(whole, path => PyTorchFile.Read(path));
        Stored.AssertSafeWhenDamaged(whole, path => PyTorchFile.Read(path));
    }

    private static void Refused(byte[] file, string named)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["evil.pt"], file);
        var message = Stored.Refused(() => PyTorchFile.Read(folder["evil.pt"])).Message;
        Assert.Contains("evil.pt", message, StringComparison.Ordinal);
        Assert.Contains(named, message, StringComparison.Ordinal);
    }

    /// <summary>Two elements of a float storage "k", or of a part of it.</summary>
    internal static byte[] Content(long count, (long First, long Length)? part)
    {
        var pickle = new PickleBuilder().Global("torch._utils", "_rebuild_tensor_v2").Raw((byte)'(', (byte)'(')
            .Text("storage").Global("torch", "FloatStorage").Text("k").Text("cpu").Integer(count);
        if (part is { } p)
        {
            pickle.Text("part").Integer(p.First).Integer(p.Length).Raw(0x87);
        }
        else
        {
            pickle.Raw((byte)'N');
        }

        return pickle.Raw((byte)'t', (byte)'Q').Integer(0).Tuple(2).Tuple(1).Raw(0x89, (byte)'}', (byte)'t', (byte)'R').Bytes();
    }

    private static byte[] Magic() => new PickleBuilder().Raw([0x8A, 10, .. Convert.FromHexString("6CFC9C46F9206AA85019")]).Bytes();

    internal static byte[] Legacy(byte[] content, string[] keys, params (long Count, byte[] Bytes)[] storages)
    {
        var list = new PickleBuilder().Raw((byte)'(');
        foreach (var key in keys)
        {
            list.Text(key);
        }

        return
        [
            .. Magic(),
            .. new PickleBuilder().Integer(1001).Bytes(),
            .. new PickleBuilder().Dictionary().Text("little_endian").Raw(0x88).SetItem().Bytes(),
            .. content,
            .. list.Raw((byte)'l').Bytes(),
            .. storages.SelectMany(s => BitConverter.GetBytes(s.Count).Concat(s.Bytes)),
        ];
    }
}
