using System.Diagnostics;
using System.Text;
using NextPatch.Core.Files;

namespace NextPatch.Core.Tests.Files;

public sealed class TextFileTests
{
    [Fact]
    public void A_byte_order_mark_is_read_over()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["a"], [.. Encoding.UTF8.Preamble, .. "eins\r\nzwei\n\nlast"u8]);
        Assert.Equal("eins\r\nzwei\n\nlast", TextFile.Read(folder["a"], 100));
        Assert.Equal("eins\r\nzwei\n\nlast"u8.ToArray(), TextFile.ReadUtf8(folder["a"], 100));
        Assert.Equal([(1, "eins"), (2, "zwei"), (3, ""), (4, "last")], TextFile.ReadLines(folder["a"]));
        File.WriteAllBytes(folder["b"], [.. Encoding.Unicode.Preamble, .. Encoding.Unicode.GetBytes("drei")]);
        Assert.Equal([(1, "drei")], TextFile.ReadLines(folder["b"]));
    }

    [Fact]
    public void Endless_lines_and_huge_files_are_refused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["a"], "x\n" + new string('y', (1 << 20) + 1));
        Assert.Contains(
            ", line 2:", Assert.Throws<DataFormatException>(() => TextFile.ReadLines(folder["a"]).ToList()).Message, StringComparison.Ordinal);
        Assert.Contains("at most 5", Assert.Throws<DataFormatException>(() => TextFile.Read(folder["a"], 5)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("missing", "does not exist")]
    [InlineData(".", "is a folder")]
    [InlineData("a\0b", "cannot be opened")]
    public void What_cannot_be_read_is_said(string name, string expected)
    {
        using var folder = new TemporaryFolder();
        Assert.Contains(expected, Assert.Throws<NextPatchException>(() => TextFile.Open(folder[name])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Pipes_and_devices_are_named_and_not_waited_for()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "no named pipes to make here");
        using var folder = new TemporaryFolder();
        Process.Start("mkfifo", folder["pipe"]).WaitForExit();
        Assert.Contains("is a named pipe", Assert.Throws<NextPatchException>(() => TextFile.Open(folder["pipe"])).Message, StringComparison.Ordinal);
        Assert.Contains("a character device", Assert.Throws<NextPatchException>(() => TextFile.Open("/dev/zero")).Message, StringComparison.Ordinal);
        File.CreateSymbolicLink(folder["link"], folder["pipe"]);
        Assert.Equal("a named pipe", RegularFile.OtherKindOf(folder["link"]));
        Assert.Null(RegularFile.OtherKindOf(folder.Path));
        Assert.Null(RegularFile.OtherKindOf(folder["nothing"]));
    }
}
