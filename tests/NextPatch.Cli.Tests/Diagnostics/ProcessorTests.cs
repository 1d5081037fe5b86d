using System.Text;
using NextPatch.Cli.Diagnostics;

namespace NextPatch.Cli.Tests.Diagnostics;

public sealed class ProcessorTests
{
    [Fact]
    public void Abilities_are_those_the_kernel_lists_for_the_first_core()
    {
        string[] lines = ["processor\t: 0", "model name\t: Some CPU @ 3 GHz: fast", "flags\t\t: fpu avx2 avx512f avx512_bf16", "", "processor\t: 1",
            "flags\t\t: amx_bf16"];

        Assert.Equal(
            new Processor("Some CPU @ 3 GHz: fast", 2, Avx2: true, Avx512: true, Avx512Bf16: true, Amx: false), Processor.FromLinux(lines, 2));
    }

    [Fact]
    public void A_flag_is_a_whole_word()
        => Assert.False(Processor.FromLinux(["flags : avx avx512fp16 xavx2"], 1) is { Avx2: true } or { Avx512: true });

    [Theory]
    [InlineData("\0GLIBCXX_3.4.9\0GLIBCXX_3.4.30\0GLIBCXX_3.4.4\0", "3.4.30")]
    [InlineData("\0GLIBCXX_3.4\0GLIBCXX_DEBUG_MESSAGE_LENGTH\0", "3.4")]
    [InlineData("nothing", null)]
    [InlineData("GLIBCXX_", null)]
    public void The_newest_library_version_is_the_highest_number(string content, string? expected)
        => Assert.Equal(expected, LibStdCpp.NewestIn(Encoding.ASCII.GetBytes(content))?.ToString());

    [Fact]
    public void Missing_files_are_answered_with_the_build_command()
        => Assert.Contains(
            "nextpatch doctor --get-libtorch", ComponentChecks.LibTorchRemedy("libtorch was not found; set NEXTPATCH_LIBTORCH"),
            StringComparison.Ordinal);
}
