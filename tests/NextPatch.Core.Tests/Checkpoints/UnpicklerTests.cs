using NextPatch.Core.Checkpoints;

namespace NextPatch.Core.Tests.Checkpoints;

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
            .Raw((byte)']', (byte)'(').Integer(-5).Raw([0x8A, 9, .. BitConverter.GetBytes(ulong.MaxValue), 0]).Raw([(byte)'G', 0x3F, 0xF8, 0, 0, 0, 0, 0, 0])
            .Raw(0x88, (byte)'N').Text("x").Raw((byte)'q', 1, (byte)'h', 1).Tuple(1, 2).Global("torch", "bfloat16").Raw((byte)'e').Bytes();
        Assert.Equal([-5L, (System.Numerics.BigInteger)ulong.MaxValue, 1.5, true, null, "x", "x", new List<object?> { 1L, 2L }, ElementType.BFloat16], Assert.IsType<List<object?>>(Load(pickle)));
    }

    [Theory]
    [InlineData("nesting", (byte)']')]
    [InlineData("marks", (byte)'(')]
    [InlineData("nothing", (byte)'N')]
    public void Endless_pickles_end_soon(string what, byte opcode)
    {
        var pickle = new byte[8 << 20];
        Array.Fill(pickle, opcode);
        Assert.True(Assert.Throws<DataFormatException>(() => Load(pickle)).Message.Contains("objects", StringComparison.Ordinal), what);
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
        => new Unpickler(pickle, "a.pt", new TorchGlobals("a.pt", 1000).Find, id => throw new DataFormatException($"no storage {id}")).Load();

    private static DataFormatException Refused(byte[] pickle)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["evil.pt"], PickleBuilder.Checkpoint(pickle, ("0", new byte[16])));
        var error = Stored.Refused(() => PyTorchFile.Read(folder["evil.pt"]));
        Assert.Contains("evil.pt", error.Message, StringComparison.Ordinal);
        return error;
    }
}
