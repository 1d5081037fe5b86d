using System.Text;
using NextPatch.Core.Tensors;
using NextPatch.Text.Tokens;

namespace NextPatch.Text.Encoders;

/// <summary>
/// A small T5 whose weights come from a formula: nothing is fetched, nothing was learned. Its features are the same on every machine up to rounding,
/// tell words apart and depend on the words around; what words mean they do not know. For demonstrations, tests and closed vocabularies.
/// </summary>
internal static class FormulaText
{
    /// <summary>What files say of features that it made. Another formula has another name.</summary>
    public const string Name = "formula-v1";

    /// <summary>Rows of the embedding, which are computed when they are looked up: so many that words hardly ever share one.</summary>
    internal const int VocabularySize = 1 << 24;

    private const double BiasDeviation = 2; // as T5 begins, all positions would weigh the same

    private static readonly T5Config Shape = new(VocabularySize, Width: 128, LayerCount: 2, HeadCount: 4, HeadWidth: 32, FfnWidth: 256,
        BucketCount: 32, IsGated: true);

    /// <summary>Weights by their names; deviations as T5 begins, so that features have a spread of about one.</summary>
    public static Dictionary<string, StoredTensor> Tensors()
    {
        var tensors = Shape.Shapes().ToDictionary(
            p => p.Key,
            p => p.Value.Length == 1
                ? StoredTensor.Generate(p.Value, (_, values) => values.Fill(1))
                : Generate(p.Key, p.Value, p.Key == T5Config.Bias ? BiasDeviation
                    : Math.Pow(p.Value[1] * (p.Key.EndsWith(".q.weight", StringComparison.Ordinal) ? Shape.HeadWidth : 1), -0.5)));
        tensors[T5Config.Embedding] = Generate(T5Config.Embedding, [Shape.VocabularySize, Shape.Width], 1);
        return tensors;
    }

    /// <summary>FNV-1a, 64 bits.</summary>
    internal static ulong Hash(ReadOnlySpan<byte> bytes)
    {
        var hash = 14695981039346656037UL;
        foreach (var value in bytes)
        {
            hash = (hash ^ value) * 1099511628211UL;
        }

        return hash;
    }

    /// <summary>Numbers of equal probability around 0: a hash of name and place.</summary>
    private static StoredTensor Generate(string name, long[] shape, double deviation)
    {
        var seed = Hash(Encoding.ASCII.GetBytes(name));
        var factor = (float)(deviation * Math.Sqrt(3) / (1 << 23));
        return StoredTensor.Generate(shape, (first, values) =>
        {
            for (var i = 0; i < values.Length; i++)
            {
                values[i] = factor * ((int)(Mix(seed + ((ulong)(first + i) * 0x9E3779B97F4A7C15UL)) >> 40) - (1 << 23));
            }
        });
    }

    /// <summary>The last step of SplitMix64.</summary>
    private static ulong Mix(ulong x)
    {
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9UL;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EBUL;
        return x ^ (x >> 31);
    }
}

/// <summary>Words as numbers without a vocabulary: each word, and each sign that is no letter or digit, is a hash of itself; letters' case is
/// ignored.
/// </summary>
internal sealed class FormulaTokenizer : ITokenizer
{
    private const int EndId = 1, FirstWord = 3;

    public string Hash => FormulaText.Name;

    public int VocabularySize => FormulaText.VocabularySize;

    public int[] Encode(string text)
    {
        var ids = new List<int>();
        var word = new StringBuilder();
        foreach (var rune in text.ToLowerInvariant().EnumerateRunes())
        {
            if (Rune.IsLetterOrDigit(rune))
            {
                word.Append(rune.ToString());
                continue;
            }

            End();
            if (!Rune.IsWhiteSpace(rune))
            {
                word.Append(rune.ToString());
                End();
            }
        }

        End();
        ids.Add(EndId);
        return [.. ids];

        void End()
        {
            if (word.Length > 0)
            {
                var hash = FormulaText.Hash(Encoding.UTF8.GetBytes(word.ToString()));
                ids.Add(FirstWord + (int)((hash ^ (hash >> 32)) % (FormulaText.VocabularySize - FirstWord)));
                word.Clear();
            }
        }
    }
}
