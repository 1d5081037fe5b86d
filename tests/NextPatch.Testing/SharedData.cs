using Xunit;

namespace NextPatch.Testing;

/// <summary>Data that is not in the repository: tests that need it run where NEXTPATCH_DATA names its folder.</summary>
public static class SharedData
{
    public const string Variable = "NEXTPATCH_DATA";

    /// <summary>Path of a file below the folder; skips the test where the folder is not given.</summary>
    public static string PathOrSkip(params string[] parts)
    {
        var folder = Environment.GetEnvironmentVariable(Variable);
        Assert.SkipWhen(string.IsNullOrEmpty(folder), $"{Variable} names no folder with {string.Join('/', parts)}.");
        var path = Path.Combine([folder!, .. parts]);
        Assert.True(File.Exists(path), $"{Variable} is set, but '{path}' does not exist.");
        return path;
    }
}
