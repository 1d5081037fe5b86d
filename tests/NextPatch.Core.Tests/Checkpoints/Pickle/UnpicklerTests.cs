using CsCheck;
using NextPatch.Core.Checkpoints.Pickle;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Tests.Checkpoints.Pickle;

public sealed class UnpicklerTests
{
    [Theory]
    [InlineData("os", "system")]
    [InlineData("builtins", "eval")]
    [InlineData("torch", "load")]
    [InlineData("torch.nn.modules.linear", "Linear")]
    public void Names_that_are_not_on_the_list_are_refused(string module, string name)
    {
        var pickle = new PickleBuilder().Global(module, name).Text("echo").Raw(0x85, (byte)'R').Bytes();
        Assert.Contains($"'{module}.{name}'", Refused(pickle).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Names_built_on_the_stack_are_refused_too()
        => Assert.Contains("'os.system'", Refused(new PickleBuilder().Text("os").Text("system").Raw(0x93).Bytes()).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("instance with arguments", "X\u0001\0\0\0a\u0085\u0081", "'os.system'")]
    [InlineData("call without arguments", ")R", "'os.system'")]
    [InlineData("attributes of the name itself", "}b", "'os.system'")]
    [InlineData("in a tuple", "\u0085", "'os.system'")]
    [InlineData("in a group", "((cos\nsystem\nt", "'os.system'")]
    [InlineData("as a key", "}cos\nsystem\nNs", "'os.system'")]
    [InlineData("forgotten", "0N", "'os.system'")]
    [InlineData("left below the result", "N", "'os.system'")]
    [InlineData("recalled from the memo", "q\u0001)\u0081h\u0001)R", "'os.system'")]
    [InlineData("instance called", ")\u0081)R", "'os.system'")]
    [InlineData("instance filled as a list", ")\u0081Na", "'os.system'")]
    [InlineData("instance filled as a dictionary", ")\u0081NNs", "'os.system'")]
    [InlineData("name filled as a list", "Na", "'os.system'")]
    [InlineData("as a persistent id", "Q", "'os.system'")]
    public void A_name_off_the_list_is_good_for_an_empty_instance_only(string use, string opcodes, string named)
    {
        var pickle = new PickleBuilder().Global("os", "system").Raw(System.Text.Encoding.Latin1.GetBytes(opcodes)).Bytes();
        var message = Refused(pickle).Message;
        Assert.True(message.Contains(named, StringComparison.Ordinal), $"{use}: {message}");
    }

    [Theory]
    [InlineData(1 << 20)]
    [InlineData(100)]
    public void Names_joined_again_and_again_end_soon(int length)
    {
        var pickle = new PickleBuilder().Text(new string('a', length)).Raw((byte)'q', 0);
        for (var i = 0; i < 100_000; i++)
        {
            pickle.Raw((byte)'h', 0, (byte)'h', 0, 0x93, (byte)')', 0x81);
        }

        Assert.Contains("not on the list", Assert.Throws<DataFormatException>(() => Load(pickle.Bytes())).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("torch", "device", ")\u0085R")]
    [InlineData("pathlib", "PosixPath", ")\u0085R")]
    [InlineData("_codecs", "encode", "X\u0001\0\0\0aX\u0005\0\0\0utf-8\u0086R")]
    [InlineData("builtins", "complex", ")R")]
    public void Settings_made_of_other_things_are_refused(string module, string name, string opcodes)
        => Refused(new PickleBuilder().Global(module, name).Raw(System.Text.Encoding.Latin1.GetBytes(opcodes)).Bytes());

    [Fact]
    public void An_empty_instance_with_attributes_is_kept_as_data()
    {
        var kept = Assert.IsType<UnknownPickleValue>(
            Load(new PickleBuilder().Global("a.b", "C").Raw((byte)')', 0x81).Text("state").Raw((byte)'b').Bytes()));
        Assert.Equal(("a.b.C", "state"), (kept.Name, kept.State));
    }

    [Fact]
    public void Nesting_and_circles_are_followed_without_recursion()
    {
        using var folder = new TemporaryFolder();
        var deep = new PickleBuilder().Raw((byte)']', (byte)'q', 0);
        for (var i = 0; i < 50_000; i++)
        {
            deep.Raw((byte)'h', 0, 0x85);
        }

        for (var i = 0; i < 100_000; i++)
        {
            deep.Raw(0x85);
        }

        File.WriteAllBytes(folder["deep.pt"], PickleBuilder.Checkpoint(deep.Raw((byte)'h', 0, (byte)'h', 0, (byte)'a').Bytes()));
        var circle = Assert.IsType<List<object?>>(PyTorchFile.Read(folder["deep.pt"]));
        Assert.Same(circle, circle[0]);
    }

    [Theory]
    [InlineData(0, 3, 2, "outside its storage")]
    [InlineData(2, 3, 1, "outside its storage")]
    [InlineData(-1, 2, 1, "outside its storage")]
    [InlineData(3, 2, -1, "outside its storage")]
    [InlineData(0, 3, long.MaxValue, "outside its storage")]
    [InlineData(long.MaxValue, 1, 1, "outside its storage")]
    [InlineData(0, -1, 1, "negative")]
    [InlineData(0, 1L << 60, 1, "1152921504606846976")]
    [InlineData(0, 1L << 28, 0, "far larger than the file")]
    public void Views_outside_their_storage_are_refused(long offset, long extent, long stride, string named)
        => Assert.Contains(named, Refused(new PickleBuilder().Tensor("0", 4, offset, [extent], [stride]).Bytes()).Message, StringComparison.Ordinal);

    [Fact]
    public void A_storage_that_is_missing_or_of_another_size_is_refused()
    {
        Assert.Contains("data/7", Refused(new PickleBuilder().Tensor("7", 4, 0, [4], [1]).Bytes()).Message, StringComparison.Ordinal);
        Assert.Contains("declares 16", Refused(new PickleBuilder().Tensor("0", 1L << 28, 0, [4], [1]).Bytes()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Numbers_and_containers_are_read()
    {
        var pickle = new PickleBuilder()
            .Raw((byte)']', (byte)'(').Integer(-5).Raw([0x8A, 9, .. BitConverter.GetBytes(ulong.MaxValue), 0])
                .Raw([(byte)'G', 0x3F, 0xF8, 0, 0, 0, 0, 0, 0])
            .Raw(0x88, (byte)'N').Text("x").Raw((byte)'q', 1, (byte)'h', 1).Tuple(1, 2).Global("torch", "bfloat16").Raw((byte)'e').Bytes();
        Assert.Equal(
            [-5L, (System.Numerics.BigInteger)ulong.MaxValue, 1.5, true, null, "x", "x", new List<object?> { 1L, 2L }, ElementType.BFloat16],
            Assert.IsType<List<object?>>(Load(pickle)));
    }

    [Theory]
    [InlineData("nesting", (byte)']')]
    [InlineData("dictionaries", (byte)'}')]
    [InlineData("marks", (byte)'(')]
    [InlineData("nothing", (byte)'N')]
    public void Endless_pickles_end_soon(string what, byte opcode)
    {
        var pickle = new byte[8 << 20];
        Array.Fill(pickle, opcode);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.True(Assert.Throws<DataFormatException>(() => Load(pickle)).Message.Contains("objects", StringComparison.Ordinal), what);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 90_000_000);
    }

    [Fact]
    public void Copies_of_copies_end_soon()
    {
        var builder = new PickleBuilder().Raw((byte)']', (byte)'q', 0, (byte)'(').Raw([.. Enumerable.Repeat((byte)'N', 100_000)]).Raw((byte)'e');
        for (var i = 0; i < 100_000; i++)
        {
            builder.Global("builtins", "list").Raw((byte)'h', 0, 0x85, (byte)'R');
        }

        Assert.Contains("objects", Assert.Throws<DataFormatException>(() => Load(builder.Bytes())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Values_of_any_length_are_read() => Gen.Int[0, 60_000].Array[0, 12].Sample(lengths =>
    {
        var builder = new PickleBuilder().Raw((byte)']', (byte)'(');
        foreach (var length in lengths)
        {
            builder.Text(new string('x', length)).Integer(length);
        }

        Assert.Equal(
            lengths.SelectMany(n => (object[])[new string('x', n), (long)n]), Assert.IsType<List<object?>>(Load(builder.Raw((byte)'e').Bytes())));
    }, iter: 30);

    [Fact]
    public void A_name_without_end_is_refused()
        => Assert.Contains(
            "name of more than", Stored.Refused(() => Load(new PickleBuilder().Global(new string('a', 100_000), "b").Bytes())).Message,
            StringComparison.Ordinal);

    [Theory]
    [InlineData(new byte[] { (byte)'.' })]
    [InlineData(new byte[] { (byte)'(', (byte)'.' })]
    [InlineData(new byte[] { (byte)'t', (byte)'.' })]
    [InlineData(new byte[] { (byte)'(', 0x85, (byte)'.' })]
    [InlineData(new byte[] { (byte)'h', 3, (byte)'.' })]
    [InlineData(new byte[] { (byte)'N', (byte)'N', (byte)'R', (byte)'.' })]
    [InlineData(new byte[] { (byte)'N', (byte)'N', (byte)'a', (byte)'.' })]
    [InlineData(new byte[] { (byte)'}', (byte)']', (byte)'N', (byte)'s', (byte)'.' })]
    [InlineData(new byte[] { (byte)'i', (byte)'.' })]
    [InlineData(new byte[] { 0x80, 9, (byte)'.' })]
    [InlineData(new byte[] { (byte)'X', 0xFF, 0xFF, 0xFF, 0xFF, (byte)'.' })]
    [InlineData(new byte[] { 0x8D, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF })]
    [InlineData(new byte[] { })]
    public void Malformed_pickles_are_refused(byte[] pickle) => Stored.Refused(() => Load(pickle));

    private static object? Load(byte[] pickle)
        => new Unpickler(
            new PickleCursor(new MemoryStream(pickle), "a.pt"), new TorchGlobals("a.pt", 1000).Find,
            id => throw new DataFormatException($"no storage {id}")).Load();

    private static DataFormatException Refused(byte[] pickle)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["evil.pt"], PickleBuilder.Checkpoint(pickle, ("0", new byte[16])));
        var error = Stored.Refused(() => PyTorchFile.Read(folder["evil.pt"]));
        Assert.Contains("evil.pt", error.Message, StringComparison.Ordinal);
        return error;
    }
}
