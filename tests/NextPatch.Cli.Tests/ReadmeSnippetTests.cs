namespace NextPatch.Cli.Tests;

/// <summary>The C# lines of README.md are those that tests/outside.sh compiles in a program on the packages. Change both together.</summary>
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

    /// <summary>Both lie beside the tests: a build in CI does not know where its sources are.</summary>
    private static string[] Lines(string name) => File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "Readme", name));
}
