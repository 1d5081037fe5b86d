using System.Diagnostics;
using NextPatch.Core;
using NextPatch.Text.Tokens;

namespace NextPatch.Text.Tests.Tokens;

public sealed class UnigramTokenizerTests
{
    private const int Blank = 3, A = 4, B = 5, BlankAb = 7;

    [Fact]
    public void The_most_probable_pieces_win_and_the_end_follows()
    {
        var tokenizer = Small();

        Assert.Equal([BlankAb, 1], tokenizer.Encode("ab"));
        Assert.Equal([Blank, A, 1], tokenizer.Encode("a")); // -2 - 4 against -9
        Assert.Equal([Blank, B, A, BlankAb, 1], tokenizer.Encode("  ba   ab "));
        Assert.Equal([1], tokenizer.Encode(""));
        Assert.Equal([1], tokenizer.Encode("   "));
    }

    [Fact]
    public void Unknown_characters_in_a_row_are_one() => Assert.Equal([Blank, 2, A, 2, 1], Small().Encode("🐱zza🐱"));

    [Fact]
    public void Real_model_gives_published_ids()
    {
        var tokenizer = UnigramTokenizer.Open(SharedData.PathOrSkip("t5", "spiece.model"));

        Assert.Equal([13959, 1566, 12, 2968, 10, 37, 629, 19, 1627, 5, 1],
            tokenizer.Encode("translate English to German: The house is wonderful."));
        Assert.Equal([1399, 209, 11949, 1], tokenizer.Encode("ﬁne ① café"));
        Assert.Equal([3, 9, 3, 2, 1712, 3, 2, 1], tokenizer.Encode("a 🐱 cat 🐱🐱"));
    }

    [Fact]
    public void Another_kind_of_model_is_refused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["bpe.model"], ModelBytes.Small(modelType: 2));

        Assert.Contains("another kind", Assert.Throws<DataFormatException>(() => UnigramTokenizer.Open(folder["bpe.model"])).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Damaged_models_are_read_or_refused()
    {
        using var folder = new TemporaryFolder();
        var path = folder["fuzzed.model"];
        byte[] map = [8, 0, 0, 0, 1, 4, 0, 0, 97, 1, 0, 0, 98, 0]; // a trie of two units
        var (whole, read) = (ModelBytes.Small(map), 0);
        for (var seed = 0; seed < 2000; seed++)
        {
            var random = new Random(seed);
            var bytes = seed < whole.Length ? whole[..seed] : [.. whole];
            for (var i = seed < whole.Length ? 0 : random.Next(1, 4); i > 0; i--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            File.WriteAllBytes(path, bytes);
            var (start, before) = (Stopwatch.GetTimestamp(), GC.GetAllocatedBytesForCurrentThread());
            try
            {
                var tokenizer = UnigramTokenizer.Open(path);
                Assert.All(tokenizer.Encode("ab ba 🐱 x"), id => Assert.InRange(id, 0, tokenizer.VocabularySize - 1));
                read++;
            }
            catch (NextPatchException)
            {
            }

            Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 100_000_000, $"seed {seed} takes memory");
            Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(30), $"seed {seed} takes time");
        }

        Assert.InRange(read, 1, 1999);
    }

    private static UnigramTokenizer Small()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["small.model"], ModelBytes.Small());
        return UnigramTokenizer.Open(folder["small.model"]);
    }
}
