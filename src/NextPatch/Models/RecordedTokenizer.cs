using NextPatch.Core;

namespace NextPatch.Models;

/// <summary>The tokenizer that codes, runs and samples remember: where it lay, and the hash of its weights.</summary>
/// <param name="Owner">Who remembers it, for sentences: "the codes in 'x'".</param>
/// <param name="Path">Full path of its folder or file; null in what was written before it was recorded.</param>
/// <param name="Hash"><see cref="WeightsHash.ComputeForTokenizer"/>; null where it is unknown.</param>
internal sealed record RecordedTokenizer(string Owner, string? Path, string? Hash)
{
    private const int ShownHash = 12;

    /// <summary>The tokenizer to use: the one that is named, the recorded one where it is still there, or the first of some other places.</summary>
    /// <param name="given">What a person names, which is returned as it is; null: nothing.</param>
    /// <param name="places">Folders where tokenizers lie by custom, in order of preference; they need not exist.</param>
    /// <returns>Null where nothing is recorded and nothing lies in the places.</returns>
    /// <exception cref="NextPatchException">It is not where it was, or is another one now; says what was recorded.</exception>
    public string? Find(string? given, IEnumerable<string> places)
    {
        if (given is not null || (IsThere(Path) && HasHash(Path!)))
        {
            return given ?? Path;
        }

        // Where none has the hash the first one is returned, and whoever opens it says what does not fit.
        var there = places.Where(IsThere).ToList();
        return there.Find(HasHash)
            ?? (Path is null ? there.FirstOrDefault() : throw new NextPatchException(Lost(there)) { Settings = ["Tokenizer"] });
    }

    /// <exception cref="NextPatchException">It is another one than the recorded one.</exception>
    public void RequireSame(string tokenizer)
    {
        if (Hash is not null && WeightsHash.ComputeForTokenizer(tokenizer) is var found && found != Hash)
        {
            throw new NextPatchException(
                $"The tokenizer in {tokenizer} has the hash {Short(found)}, but {Owner} belong to {Short(Hash)}{Was()}: images would be noise. Name "
                + "the right one with Tokenizer.")
            { Settings = ["Tokenizer"] };
        }
    }

    /// <summary>A folder with weights, or a file: nothing else is opened, because the path comes from a file.</summary>
    private static bool IsThere(string? path)
        => path is not null && (File.Exists(System.IO.Path.Combine(path, "model.safetensors")) || IsFile(path));

    private static bool IsFile(string path)
        => File.Exists(path) && (File.GetAttributes(path) & (FileAttributes.Device | FileAttributes.Directory)) == 0 && new FileInfo(path).Length > 0;

    private static string Short(string hash) => hash[..Math.Min(ShownHash, hash.Length)];

    private bool HasHash(string path) => Hash is null || WeightsHash.ComputeForTokenizer(path) == Hash;

    private string Was() => Path is null ? "" : $", which lay in {Path}";

    private string Lost(IReadOnlyList<string> there)
    {
        var recorded = $"{char.ToUpperInvariant(Owner[0])}{Owner[1..]} belong to the tokenizer in "
            + $"{Path}{(Hash is null ? "" : $" (hash {Short(Hash)})")}";
        var found = !IsThere(Path)
            ? "which is not there any more"
            : $"where another one lies now (hash {Short(WeightsHash.ComputeForTokenizer(Path!))})";
        var others = there.Count == 0 ? "" : $"; {string.Join(" and ", there)} is another one too";
        return $"{recorded}, {found}{others}. Say with Tokenizer where it is now.";
    }
}
