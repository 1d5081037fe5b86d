using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Sampling;

/// <summary>
/// From logits to one code: temperature, top-k, top-p on what top-k left, softmax, draw — in this order, as published.
/// Both engines use it, so their samples agree as soon as their logits do.
/// </summary>
internal sealed class LogitsProcessor
{
    private readonly SamplingConfig _config;
    private readonly float[] _scaled;
    private readonly double[] _probabilities;
    private readonly float[] _sortKeys;
    private readonly int[] _order;

    /// <param name="config">Rules.</param>
    /// <param name="vocabularySize">Number of logits V; fixes the scratch memory.</param>
    public LogitsProcessor(SamplingConfig config, int vocabularySize)
    {
        _config = config;
        _scaled = new float[vocabularySize];
        _probabilities = new double[vocabularySize];
        _sortKeys = new float[vocabularySize];
        _order = new int[vocabularySize];
    }

    /// <summary>Classifier-free guidance, in place: cond = uncond + (cond - uncond) * scale.</summary>
    /// <param name="conditional">Logits [V]; receives the result.</param>
    /// <param name="unconditional">Logits [V] of the null class.</param>
    /// <param name="scale">1 leaves <paramref name="conditional"/> as it is.</param>
    public static void Guide(Span<float> conditional, ReadOnlySpan<float> unconditional, double scale)
    {
        if (scale == 1)
        {
            return;
        }

        var s = (float)scale;
        var rows = MemoryMarshal.Cast<float, Vector<float>>(conditional);
        var others = MemoryMarshal.Cast<float, Vector<float>>(unconditional);
        for (var i = 0; i < rows.Length; i++)
        {
            rows[i] = others[i] + ((rows[i] - others[i]) * s);
        }

        for (var i = rows.Length * Vector<float>.Count; i < conditional.Length; i++)
        {
            conditional[i] = unconditional[i] + ((conditional[i] - unconditional[i]) * s);
        }
    }

    /// <summary>Refuses logits that are not finite: what would be drawn from them is one code everywhere, and looks like a result.</summary>
    /// <param name="logits">[V], guided already.</param>
    /// <param name="image">Index of the image, for the message.</param>
    /// <param name="position">Of the code that is to be drawn.</param>
    /// <exception cref="NextPatchException">One is not.</exception>
    internal static void RequireFinite(ReadOnlySpan<float> logits, long image, int position)
    {
        if (FiniteNumbers.FirstNotFinite(logits) is var bad and >= 0)
        {
            throw new NextPatchException(string.Create(
                CultureInfo.InvariantCulture,
                $"Drawing stops at position {position} of image {image}: the logit of code {bad} is {logits[bad]}, so there is nothing to draw from. "
                + $"The weights are damaged or their training diverged, or guidance is too strong for their range; take an earlier checkpoint."));
        }
    }

    /// <summary>Probabilities after temperature and filters.</summary>
    /// <param name="logits">[V]; not changed.</param>
    /// <returns>[V], sums to 1; owned by this object until the next call.</returns>
    public ReadOnlySpan<double> Probabilities(ReadOnlySpan<float> logits)
    {
        var temperature = (float)Math.Max(_config.Temperature, 1e-5);
        var from = MemoryMarshal.Cast<float, Vector<float>>(logits);
        var to = MemoryMarshal.Cast<float, Vector<float>>(_scaled.AsSpan());
        for (var i = 0; i < from.Length; i++)
        {
            to[i] = from[i] / new Vector<float>(temperature);
        }

        for (var i = from.Length * Vector<float>.Count; i < logits.Length; i++)
        {
            _scaled[i] = logits[i] / temperature;
        }

        Filter(_scaled, _config.TopK, _config.TopP, 1);
        Softmax.Write(_scaled, _probabilities);
        return _probabilities;
    }

    /// <summary>Draws a code, or takes the most probable one.</summary>
    /// <param name="logits">[V].</param>
    /// <param name="uniform">A number in [0, 1).</param>
    public int Draw(ReadOnlySpan<float> logits, double uniform)
    {
        if (_config.Greedy)
        {
            return IndexOfMax(logits);
        }

        var probabilities = Probabilities(logits);
        var last = 0;
        var cumulative = 0.0;
        for (var i = 0; i < probabilities.Length; i++)
        {
            if (probabilities[i] > 0)
            {
                last = i;
                cumulative += probabilities[i];
                if (uniform < cumulative)
                {
                    return i;
                }
            }
        }

        return last;
    }

    /// <summary>Sets filtered logits to -infinity, in place.</summary>
    /// <param name="logits">[V], already divided by the temperature.</param>
    /// <param name="topK">0 = off; clamped to [minimum, V]; ties with the k-th survive.</param>
    /// <param name="topP">1 or more = off. The code that crosses the threshold survives, and the first always does.</param>
    /// <param name="minimum">At least this many survive; with more than one, one more than that, as published.</param>
    public void Filter(Span<float> logits, int topK, double topP, int minimum)
    {
        if (topK > 0)
        {
            FilterTopK(logits, Math.Min(Math.Max(topK, minimum), logits.Length));
        }

        if (topP < 1)
        {
            FilterTopP(logits, topP, minimum);
        }
    }

    internal static int IndexOfMax(ReadOnlySpan<float> values)
    {
        var best = 0;
        for (var i = 1; i < values.Length; i++)
        {
            if (values[i] > values[best])
            {
                best = i;
            }
        }

        return best;
    }

    private void FilterTopK(Span<float> logits, int k)
    {
        var copy = _sortKeys.AsSpan(0, logits.Length);
        logits.CopyTo(copy);
        var threshold = Smallest(copy, copy.Length - k);
        for (var i = 0; i < logits.Length; i++)
        {
            if (logits[i] < threshold)
            {
                logits[i] = float.NegativeInfinity;
            }
        }
    }

    /// <summary>The value that would stand at a place if all were sorted (Hoare's selection); reorders them.</summary>
    private static float Smallest(Span<float> values, int place)
    {
        var (low, high) = (0, values.Length - 1);
        while (low < high)
        {
            var (pivot, i, j) = (values[(low + high) / 2], low, high);
            while (i <= j)
            {
                for (; values[i] < pivot; i++)
                {
                }

                for (; values[j] > pivot; j--)
                {
                }

                if (i <= j)
                {
                    (values[i], values[j]) = (values[j], values[i]);
                    (i, j) = (i + 1, j - 1);
                }
            }

            if (place <= j)
            {
                high = j;
            }
            else if (place >= i)
            {
                low = i;
            }
            else
            {
                break;
            }
        }

        return values[place];
    }

    private void FilterTopP(Span<float> logits, double topP, int minimum)
    {
        var probabilities = _probabilities.AsSpan(0, logits.Length);
        Softmax.Write(logits, probabilities);
        var keys = _sortKeys.AsSpan(0, logits.Length);
        var order = _order.AsSpan(0, logits.Length);
        for (var i = 0; i < logits.Length; i++)
        {
            keys[i] = -logits[i];
            order[i] = i;
        }

        keys.Sort(order);

        // Probabilities and sums are rounded to float, as they are published: where a sum meets p exactly (equal logits), that decides.
        // Position i falls when the sum up to and including i - 1 exceeds p; the first positions that 'minimum' protects are
        // protected before that shift by one, so one more than 'minimum' survives where it is greater than 1.
        var cumulative = 0.0;
        var removePrevious = false;
        for (var i = 0; i < order.Length; i++)
        {
            cumulative += (float)probabilities[order[i]];
            var removeThis = (float)cumulative > (float)topP && !(minimum > 1 && i < minimum);
            if (i > 0 && removePrevious)
            {
                logits[order[i]] = float.NegativeInfinity;
            }

            removePrevious = removeThis;
        }
    }
}
