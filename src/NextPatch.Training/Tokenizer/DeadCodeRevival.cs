using NextPatch.Core;
using NextPatch.Core.Sampling;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Tokenizer;
using static TorchSharp.torch;

namespace NextPatch.Training.Tokenizer;

// Shape letters used in this file: B batch, T codes per image, R rows (B * T), W code width, K codes.

/// <summary>
/// Keeps a codebook in use: starts it at the k-means centres of latents, counts which codes are chosen, moves those that none
/// chooses onto latents. Every draw is a function of (seed, step); the counts are part of the checkpoint.
/// </summary>
internal sealed class DeadCodeRevival
{
    private const string Codebook = "quantize.embedding.weight";
    private const int RowsPerCentre = 16;
    private const int MostBatches = 16;

    // Items of the random stream at and above these belong to clustering and revival.
    private const long ClusteringItems = 1L << 40;
    private const long RevivalItems = 1L << 41;

    private readonly VqTokenizer _tokenizer;
    private readonly TokenizerStep _step;
    private readonly TokenizerRunConfig _config;
    private readonly CounterRandom _random;
    private readonly CodeUsage _sinceRevival;

    public DeadCodeRevival(VqTokenizer tokenizer, TokenizerStep step, TokenizerRunConfig config)
    {
        (_tokenizer, _step, _config) = (tokenizer, step, config);
        _random = new CounterRandom(config.Seed, RandomStream.Tokenizer);
        _sinceRevival = new CodeUsage(config.Tokenizer.CodebookSize);
        SinceReport = new CodeUsage(config.Tokenizer.CodebookSize);
    }

    /// <summary>Codes chosen since the last line of metrics; whoever writes the line clears it.</summary>
    public CodeUsage SinceReport { get; }

    /// <summary>Replaces the whole codebook by k-means centres.</summary>
    /// <param name="batch">Images of some steps, float [B, 3, S, S], in the caller's dispose scope.</param>
    public void Start(Func<int, Tensor> batch)
    {
        using var scope = NewDisposeScope();
        var rows = new List<Tensor>();
        for (var i = 0; i < MostBatches && rows.Sum(r => r.size(0)) < (long)RowsPerCentre * _config.Tokenizer.CodebookSize; i++)
        {
            using var inner = NewDisposeScope();
            rows.Add(_tokenizer.UnitLatents(batch(i)).MoveToOuterDisposeScope()); // [R, W]
        }

        var centres = KMeansInit.Cluster(cat(rows), _config.Tokenizer.CodebookSize, _random, ClusteringItems);
        Replace([.. Enumerable.Range(0, _config.Tokenizer.CodebookSize).Select(k => (long)k)], centres);
    }

    /// <summary>
    /// Counts the codes of a step that was taken, and revives dead codes when it is time. Runs after the optimiser: weights that change between
    /// forward and backward break autograd.
    /// </summary>
    /// <returns>Codes revived.</returns>
    public int AfterStep(long step, TokenizerStepResult result)
    {
        if (result.Latents is null)
        {
            return 0;
        }

        long[] codes = [.. result.Codes];
        _sinceRevival.Add(codes);
        SinceReport.Add(codes);
        if (_config.RevivalInterval == 0 || (step + 1) % _config.RevivalInterval != 0)
        {
            return 0;
        }

        var dead = _sinceRevival.FindDead();
        _sinceRevival.Clear();
        if (dead.Length == 0 || step >= _config.DecayStart)
        {
            return 0;
        }

        using var scope = NewDisposeScope();
        var rows = result.Latents.permute(0, 2, 3, 1).reshape(-1, _config.Tokenizer.CodeWidth); // [R, W]
        var picks = new long[dead.Length];
        for (var i = 0; i < picks.Length; i++)
        {
            picks[i] = _random.Below((int)rows.size(0), RevivalItems + step, i);
        }

        Replace(dead, rows.index_select(0, tensor(picks, device: rows.device)));
        return dead.Length;
    }

    /// <summary>The counts, for a checkpoint.</summary>
    public IEnumerable<KeyValuePair<string, HostTensor>> Capture() =>
    [
        new("usage.since_revival", HostTensor.From(ElementType.Int64, [_config.Tokenizer.CodebookSize], _sinceRevival.Counts)),
        new("usage.since_report", HostTensor.From(ElementType.Int64, [_config.Tokenizer.CodebookSize], SinceReport.Counts)),
    ];

    public void Restore(IReadOnlyDictionary<string, HostTensor> captured)
    {
        _sinceRevival.Restore(Counts(captured, "usage.since_revival"));
        SinceReport.Restore(Counts(captured, "usage.since_report"));
    }

    private ReadOnlySpan<long> Counts(IReadOnlyDictionary<string, HostTensor> captured, string name)
        => captured.TryGetValue(name, out var counts) && counts.Type == ElementType.Int64
            && counts.Shape is [var length] && length == _config.Tokenizer.CodebookSize
            ? counts.AsSpan<long>()
            : throw new DataFormatException(
                $"The checkpoint's '{name}' is {counts?.ToString() ?? "missing"}; expected {ElementType.Int64} [{_config.Tokenizer.CodebookSize}]. "
                    + $"It is "
                + $"damaged or belongs to another tokenizer.");

    private void Replace(long[] codes, Tensor vectors)
    {
        _tokenizer.ReplaceCodes(codes, vectors);
        _step.Optimizer.RestartRows(Codebook, codes);
    }
}
