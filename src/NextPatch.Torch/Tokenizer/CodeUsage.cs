namespace NextPatch.Torch.Tokenizer;

/// <summary>How often each code of a codebook was chosen.</summary>
internal sealed class CodeUsage
{
    private readonly long[] _counts;

    public CodeUsage(int codebookSize) => _counts = new long[codebookSize];

    /// <summary>How often each code was chosen.</summary>
    public ReadOnlySpan<long> Counts => _counts;

    /// <summary>Codes counted.</summary>
    public long Total => _counts.Sum();

    /// <summary>Codes chosen at least once.</summary>
    public int UsedCount => _counts.Count(c => c > 0);

    /// <summary>
    /// exp(entropy) of the choice: K when all codes are equally frequent, 1 when one code does everything, 0 before any was counted.
    /// </summary>
    public double Perplexity
    {
        get
        {
            var total = (double)_counts.Sum();
            return total == 0 ? 0 : Math.Exp(-_counts.Where(c => c > 0).Sum(c => c / total * Math.Log(c / total)));
        }
    }

    public void Add(ReadOnlySpan<long> codes)
    {
        foreach (var code in codes)
        {
            _counts[code]++;
        }
    }

    /// <summary>Goes on from counts as <see cref="Counts"/> gave them.</summary>
    public void Restore(ReadOnlySpan<long> counts) => counts.CopyTo(_counts);

    public void Clear() => Array.Clear(_counts);

    /// <summary>Codes never chosen, ascending.</summary>
    public long[] FindDead() => [.. Enumerable.Range(0, _counts.Length).Where(k => _counts[k] == 0).Select(k => (long)k)];
}
