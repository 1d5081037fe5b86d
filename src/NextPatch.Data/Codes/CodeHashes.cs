using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Files;

namespace NextPatch.Data.Codes;

/// <summary>SHA-256 of the files of a code store.</summary>
internal static class CodeHashes
{
    /// <returns>A line per file that is missing or has another hash.</returns>
    public static IReadOnlyList<string> Compare(string folder, IReadOnlyDictionary<string, string> expected, CancellationToken cancellationToken)
    {
        var changed = new List<string>();
        foreach (var (name, hash) in expected)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var path = Path.Combine(folder, PathComponent.Require(name, Path.Combine(folder, CodeStore.ManifestName)));
            if (!File.Exists(path))
            {
                changed.Add($"{name}: missing");
                continue;
            }

            try
            {
                var actual = FileHash.Compute(path, cancellationToken);
                if (actual != hash)
                {
                    changed.Add($"{name}: SHA-256 is {actual} but {CodeStore.ManifestName} says {hash}");
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new NextPatchException($"'{path}' cannot be read: {e.Message}", e);
            }
        }

        return changed;
    }
}
