using System.Buffers;
using System.Text;

namespace NextPatch.Cli.Diagnostics;

/// <summary>The system's C++ library, whose age decides whether libtorch loads on Linux.</summary>
internal static class LibStdCpp
{
    private static readonly string[] Folders =
        ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/lib64", "/usr/lib", "/lib"];

    private static readonly SearchValues<byte> VersionCharacters = SearchValues.Create(".0123456789"u8);

    /// <summary>The newest GLIBCXX version that libstdc++.so.6 offers; null where there is none (other systems, or not installed).</summary>
    public static Version? Newest()
    {
        var path = Folders.Select(folder => Path.Combine(folder, "libstdc++.so.6")).FirstOrDefault(File.Exists);
        try
        {
            return path is null ? null : NewestIn(File.ReadAllBytes(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Version names lie in the library as text: GLIBCXX_3.4.30.</summary>
    internal static Version? NewestIn(ReadOnlySpan<byte> library)
    {
        var prefix = "GLIBCXX_"u8;
        Version? newest = null;
        for (var at = library.IndexOf(prefix); at >= 0; at = library.IndexOf(prefix))
        {
            library = library[(at + prefix.Length)..];
            var length = library.IndexOfAnyExcept(VersionCharacters);
            if (Version.TryParse(Encoding.ASCII.GetString(library[..Math.Max(length, 0)]), out var version) && (newest is null || version > newest))
            {
                newest = version;
            }
        }

        return newest;
    }
}
