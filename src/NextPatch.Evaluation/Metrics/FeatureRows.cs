using System.Numerics;
using NextPatch.Core;

namespace NextPatch.Evaluation.Metrics;

/// <summary>What every metric asks of rows of features before it trusts them.</summary>
internal static class FeatureRows
{
    /// <summary>
    /// Features of trained networks are some tens at most. Of ones beyond this a Fréchet distance has no digits left: 2^-52 of their squares,
    /// summed over a thousand features, is a tenth.
    /// </summary>
    public const float Largest = 1e6f;

    /// <param name="rows">[N, D].</param>
    /// <param name="width">D.</param>
    /// <param name="first">Number of the first row, for messages.</param>
    /// <returns>N.</returns>
    /// <exception cref="NextPatchException">Not whole rows, or a value is not finite.</exception>
    public static int Check(ReadOnlySpan<float> rows, int width, long first = 0)
    {
        if (rows.Length % width != 0)
        {
            throw new NextPatchException(
                $"{rows.Length} values are not whole rows of {width} features; the features come from another network or are cut off.");
        }

        var at = 0;
        for (; at <= rows.Length - Vector<float>.Count && Vector.LessThanAll(
            Vector.Abs(new Vector<float>(rows[at..])), new Vector<float>(float.PositiveInfinity)); at += Vector<float>.Count)
        {
        }

        for (var i = at; i < rows.Length; i++)
        {
            if (!float.IsFinite(rows[i]))
            {
                throw new NextPatchException(
                    $"Feature {i % width} of image {first + (i / width)} is {rows[i]}; expected finite numbers. Check the image and the network's "
                    + $"weights.");
            }
        }

        return rows.Length / width;
    }
}
