using NextPatch.Core.Imaging;

namespace NextPatch.Evaluation.Clip;

/// <summary>Images as the published evaluation of text-to-image models gives them to CLIP.</summary>
/// <remarks>
/// Source: <c>evaluations/t2i/evaluation.py</c> of LlamaGen (after GigaGAN): the middle square, Lanczos to 256, through [-1, 1] in float32 and
/// back to bytes by cutting, which lowers some levels by one; then CLIP's own bicubic resize and normalisation.
/// </remarks>
internal static class ClipImages
{
    /// <summary>Side to which images are brought first (<c>--eval_res</c>).</summary>
    public const int EvaluationSide = 256;

    private static readonly float[] Means = [0.48145466f, 0.4578275f, 0.40821073f];
    private static readonly float[] Deviations = [0.26862954f, 0.26130258f, 0.27577711f];
    private static readonly byte[] Levels = [.. Enumerable.Range(0, 256).Select(level => Cut(level))];

    /// <param name="image">Any size.</param>
    /// <param name="side">S, of the network.</param>
    /// <param name="planes">Receives [3, S, S].</param>
    public static void Prepare(RgbImage image, int side, Span<float> planes)
    {
        var square = Square(image);
        if (square.Width != EvaluationSide)
        {
            square = PillowResize.Resize(square, EvaluationSide, EvaluationSide, ResampleFilter.Lanczos);
        }

        square = new RgbImage(EvaluationSide, EvaluationSide, Array.ConvertAll(square.Pixels, level => Levels[level]));
        if (side != EvaluationSide)
        {
            square = PillowResize.Resize(square, side, side, ResampleFilter.Bicubic);
        }

        for (var channel = 0; channel < 3; channel++)
        {
            for (var i = 0; i < side * side; i++)
            {
                planes[(channel * side * side) + i] = ((square.Pixels[(3 * i) + channel] / 255f) - Means[channel]) / Deviations[channel];
            }
        }
    }

    /// <summary>A level after ToTensor, Normalize(0.5, 0.5) and the way back to bytes.</summary>
    private static byte Cut(int level)
    {
        var value = ((level / 255f) - 0.5f) / 0.5f;
        return (byte)Math.Clamp((value + 1f) * 127.5f, 0, 255);
    }

    /// <summary>torchvision's <c>center_crop</c>: halves are rounded to even.</summary>
    private static RgbImage Square(RgbImage image)
    {
        var side = Math.Min(image.Width, image.Height);
        if (image.Width == image.Height)
        {
            return image;
        }

        var (left, top) = ((int)Math.Round((image.Width - side) / 2.0), (int)Math.Round((image.Height - side) / 2.0));
        var pixels = new byte[side * side * 3];
        for (var y = 0; y < side; y++)
        {
            image.Pixels.AsSpan((((top + y) * image.Width) + left) * 3, side * 3).CopyTo(pixels.AsSpan(y * side * 3));
        }

        return new RgbImage(side, side, pixels);
    }
}
