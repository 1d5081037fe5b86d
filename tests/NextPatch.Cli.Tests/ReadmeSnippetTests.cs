namespace NextPatch.Cli.Tests;

/// <summary>
/// The C# lines of README.md and of the guide to ideas of one's own are those that tests/outside.sh compiles on the packages. Change both together.
/// </summary>
public sealed class ReadmeSnippetTests
{
    [Fact]
    public void The_lines_of_the_readme_are_those_that_compile_outside()
    {
        var readme = Lines("README.md").SkipWhile(line => line != "```csharp").Skip(1).TakeWhile(line => line != "```").ToList();
        var outside = Lines("Readme.cs").ToList();
        var body = outside.SkipWhile(line => line != "    {").Skip(1).TakeWhile(line => line != "    }")
            .Select(line => line.Length > 8 ? line[8..] : "");

        Assert.Equal(readme, [outside[0], "", .. body]);
    }

    [Fact]
    public void The_lines_of_the_guide_to_ones_own_idea_are_those_that_compile_outside()
    {
        var blocks = string.Join('\n', Lines("your-own-idea.md")).Split("```csharp\n").Skip(1).Select(block => block.Split("\n```")[0]).ToList();
        var guide = string.Join('\n', blocks).Split('\n').Select(line => line.Trim());

        Assert.Equal(2, blocks.Count);
        Assert.Empty(guide.Except(Lines("OwnIdea.cs").Select(line => line.Trim())));
    }

    /// <summary>They lie beside the tests: a build in CI does not know where its sources are.</summary>
    private static string[] Lines(string name) => File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "Readme", name));
}
