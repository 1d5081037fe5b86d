using CsCheck;
using NextPatch.Core.Files;

namespace NextPatch.Core.Tests.Files;

public sealed class PathComponentTests
{
    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("step-00000004")]
    [InlineData(".lock")]
    [InlineData("Bilder für später (2)")]
    [InlineData("..a")]
    public void Names_of_files_are_taken(string name) => Assert.Equal(name, PathComponent.Require(name, "list"));

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("../x")]
    [InlineData("x/")]
    [InlineData("/etc/passwd")]
    [InlineData("a\\b")]
    [InlineData("c:x")]
    [InlineData("a\0b")]
    [InlineData("a\u001b[31m")]
    [InlineData("a\n")]
    [InlineData(" a")]
    [InlineData("a.")]
    public void What_could_lead_elsewhere_is_refused_and_named_without_its_control_characters(string? name)
    {
        var message = Assert.Throws<DataFormatException>(() => PathComponent.Require(name, "sums")).Message;
        Assert.StartsWith("'sums' names '", message, StringComparison.Ordinal);
        Assert.DoesNotContain(message, c => char.IsControl(c) && c != '\n');
    }

    [Fact]
    public void Long_names_are_refused() => Assert.NotNull(PathComponent.ProblemOf(new string('ä', 128)));

    /// <summary>Whatever is let through stays in the folder it is joined to.</summary>
    [Fact]
    public void A_name_that_is_taken_never_leaves_its_folder()
        => Gen.OneOf(Gen.String[Gen.Char["./\\:.ab ~\0"], 0, 8], Gen.String).Sample(name => PathComponent.ProblemOf(name) is not null
            || Path.GetDirectoryName(Path.GetFullPath(Path.Combine("/place", name))) == "/place");
}
