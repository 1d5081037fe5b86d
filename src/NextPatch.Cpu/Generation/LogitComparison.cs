using NextPatch.Core.Generation;
using NextPatch.Cpu.Gpt;

namespace NextPatch.Cpu.Generation;

// Shape letters: N images, T codes per image, V vocabulary.

/// <summary>How far two ways to keep the same weights are apart: logits of the same codes, as training would see them.</summary>
/// <param name="Divergence">Mean Kullback-Leibler divergence of the second from the first, in nats per code.</param>
/// <param name="EqualGreedy">Share of codes where both find the same one most probable.</param>
/// <param name="Codes">Number of codes.</param>
internal sealed record LogitComparison(double Divergence, double EqualGreedy, int Codes)
{
    /// <param name="first">The reference.</param>
    /// <param name="second">The same model.</param>
    /// <param name="labels">N.</param>
    /// <param name="codes">[N, T]; each is given to both after its logits were compared.</param>
    /// <param name="cancellation">Checked at every position.</param>
    /// <param name="prompt">Of all images, of a model that captions condition.</param>
    public static LogitComparison Run(
        IGptDecoder first, IGptDecoder second, IReadOnlyList<int> labels, ReadOnlyMemory<int> codes, CancellationToken cancellation,
        PromptFeatures? prompt = null)
    {
        var (length, batch) = (first.Config.CodesPerImage, Math.Min(first.MaxRows, second.MaxRows));
        var (divergence, equal) = (0.0, 0);
        for (var image = 0; image < labels.Count; image += batch)
        {
            var count = Math.Min(batch, labels.Count - image);
            var (rows, others) = (Rows(first, count, prompt), Rows(second, count, prompt));
            for (var position = 0; position < length; position++)
            {
                cancellation.ThrowIfCancellationRequested();
                for (var i = 0; i < count; i++)
                {
                    if (position > 0 || prompt is null)
                    {
                        var input = position == 0 ? labels[image + i] : codes.Span[((image + i) * length) + position - 1];
                        rows[i] = new DecodeRow(rows[i].Slot, position, input);
                        others[i] = new DecodeRow(others[i].Slot, position, input);
                    }
                }

                first.Run(rows);
                second.Run(others);
                for (var i = 0; i < count; i++)
                {
                    Span<float> a = first.Logits(i), b = second.Logits(i);
                    divergence += Between(a, b);
                    equal += IndexOfMax(a) == IndexOfMax(b) ? 1 : 0;
                }
            }

            Array.ForEach(rows, row => first.ReturnSlot(row.Slot));
            Array.ForEach(others, row => second.ReturnSlot(row.Slot));
        }

        var all = labels.Count * length;
        return new LogitComparison(divergence / all, (double)equal / all, all);
    }

    private static DecodeRow[] Rows(IGptDecoder decoder, int count, PromptFeatures? prompt) => [.. Enumerable.Range(0, count).Select(_ =>
    {
        var slot = decoder.TakeSlot();
        if (prompt is null)
        {
            return new DecodeRow(slot, 0, 0);
        }

        var encoded = decoder.Encode(prompt);
        decoder.Prefill(slot, encoded);
        return new DecodeRow(slot, 0, encoded.Count - 1, encoded);
    })];

    private static double Between(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        var (sumA, sumB) = (LogSum(a), LogSum(b));
        var divergence = 0.0;
        for (var i = 0; i < a.Length; i++)
        {
            var log = a[i] - sumA;
            divergence += Math.Exp(log) * (log - (b[i] - sumB));
        }

        return divergence;
    }

    private static double LogSum(ReadOnlySpan<float> logits)
    {
        var (largest, sum) = ((double)logits[IndexOfMax(logits)], 0.0);
        foreach (var logit in logits)
        {
            sum += Math.Exp(logit - largest);
        }

        return largest + Math.Log(sum);
    }

    private static int IndexOfMax(ReadOnlySpan<float> values)
    {
        var index = 0;
        for (var i = 1; i < values.Length; i++)
        {
            index = values[i] > values[index] ? i : index;
        }

        return index;
    }
}
