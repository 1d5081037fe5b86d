using NextPatch.Core;
using NextPatch.Data.Codes;

namespace NextPatch.Models;

/// <summary>Finds the tokenizer that made a folder of codes.</summary>
internal static class CodeTokenizer
{
    /// <summary>Where a tokenizer lies by custom: <c>tokenizer/</c> beside the codes.</summary>
    public static string PlaceBeside(string codes) => Path.Combine(Path.GetDirectoryName(Path.GetFullPath(codes))!, "tokenizer");

    /// <param name="codes">Their folder.</param>
    /// <param name="given">What a person names; null: where the codes say it lay, or beside them.</param>
    /// <returns>Null where nothing is recorded and nothing lies beside them.</returns>
    /// <exception cref="NextPatchException">The codes are missing or damaged, or the tokenizer is not where it was recorded.</exception>
    public static string? Find(string codes, string? given = null) => given ?? From(codes).Find(null, [PlaceBeside(codes)]);

    /// <exception cref="NextPatchException">The codes were made by another tokenizer than this.</exception>
    public static void RequireSame(string codes, string tokenizer) => From(codes).RequireSame(tokenizer);

    /// <summary>What a manifest remembers.</summary>
    public static RecordedTokenizer From(string codes, CodeManifest manifest)
        => new($"the codes in {codes}", manifest.TokenizerPath, manifest.TokenizerHash);

    private static RecordedTokenizer From(string codes)
    {
        using var store = CodeStore.Open(codes);
        return From(codes, store.Manifest);
    }
}
