using System.Numerics;
using System.Runtime.InteropServices;

namespace NextPatch.Core.Sampling;

/// <summary>exp(x_i) / sum_j exp(x_j), in double.</summary>
internal static class Softmax
{
    /// <param name="logits">[V]; -infinity gives 0, and one at least is finite.</param>
    /// <param name="probabilities">[V]; receives the result.</param>
    /// <remarks>The sum is taken in order; everything else has no order, so vectors of any width give the same bits.</remarks>
    public static void Write(ReadOnlySpan<float> logits, Span<double> probabilities)
    {
        var max = new Vector<float>(Largest(logits));
        var whole = logits.Length / Vector<float>.Count * Vector<float>.Count;
        for (var i = 0; i < whole; i += Vector<float>.Count)
        {
            Exponentials(new Vector<float>(logits[i..]) - max, probabilities[i..]);
        }

        if (whole < logits.Length)
        {
            Span<float> last = stackalloc float[Vector<float>.Count];
            Span<double> exponentials = stackalloc double[Vector<float>.Count];
            logits[whole..].CopyTo(last);
            Exponentials(new Vector<float>(last) - max, exponentials);
            exponentials[..(logits.Length - whole)].CopyTo(probabilities[whole..]);
        }

        var sum = 0.0;
        foreach (var exponential in probabilities)
        {
            sum += exponential;
        }

        var shares = MemoryMarshal.Cast<double, Vector<double>>(probabilities);
        for (var i = 0; i < shares.Length; i++)
        {
            shares[i] /= new Vector<double>(sum);
        }

        for (var i = shares.Length * Vector<double>.Count; i < probabilities.Length; i++)
        {
            probabilities[i] /= sum;
        }
    }

    private static void Exponentials(Vector<float> values, Span<double> to)
    {
        Vector.Widen(values, out var low, out var high);
        Vector.Exp(low).CopyTo(to);
        Vector.Exp(high).CopyTo(to[Vector<double>.Count..]);
    }

    private static float Largest(ReadOnlySpan<float> values)
    {
        var maxima = new Vector<float>(float.NegativeInfinity);
        var vectors = MemoryMarshal.Cast<float, Vector<float>>(values);
        foreach (var vector in vectors)
        {
            maxima = Vector.Max(maxima, vector);
        }

        var largest = float.NegativeInfinity;
        for (var i = 0; i < Vector<float>.Count; i++)
        {
            largest = MathF.Max(largest, maxima[i]);
        }

        foreach (var value in values[(vectors.Length * Vector<float>.Count)..])
        {
            largest = MathF.Max(largest, value);
        }

        return largest;
    }
}
