using NextPatch.Core.Configuration;
using NextPatch.Data.Codes;
using NextPatch.Models;
using NextPatch.Torch.Tokenizer;

namespace NextPatch.Cli.Tests;

/// <summary>An untrained tokenizer, and codes of two classes in turn that know it.</summary>
internal static class SmallCodes
{
    public const int Vocabulary = 32;
    private const int DownsamplingFactor = 4;

    /// <param name="path">Folder of the codes.</param>
    /// <param name="tokenizer">Folder of the tokenizer, which is written too.</param>
    /// <param name="gridSide">Codes per side; a quarter of the images' side.</param>
    /// <param name="count">Images.</param>
    /// <param name="heldOut">The last of them.</param>
    /// <param name="classNames">Two.</param>
    public static void Write(string path, string tokenizer, int gridSide, int count, int heldOut = 0, string[]? classNames = null)
    {
        WriteTokenizer(tokenizer, gridSide);
        CodeStore.Write(path, new CodeManifest
        {
            Name = "tiny", GridSide = gridSide, VocabularySize = Vocabulary, ClassNames = classNames ?? ["a", "b"], Count = count,
            HeldOutCount = heldOut, ImageSide = gridSide * DownsamplingFactor,
            TokenizerHash = WeightsHash.ComputeForTokenizer(tokenizer), TokenizerPath = tokenizer,
        }, [.. Enumerable.Range(0, count * gridSide * gridSide).Select(i => i * 7 % Vocabulary)], [.. Enumerable.Range(0, count).Select(i => i % 2)]);
    }

    public static void WriteTokenizer(string path, int gridSide, ulong seed = 3)
    {
        using var tokenizer = new VqTokenizer(
            new TokenizerConfig
            {
                ImageSide = gridSide * DownsamplingFactor, DownsamplingFactor = DownsamplingFactor, CodebookSize = Vocabulary, Channels = [16, 16],
                BlockCounts = [1, 1],
            }, seed);
        tokenizer.SaveTo(path);
    }
}
