using NextPatch.Core;
using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;

namespace NextPatch.Sampling;

/// <summary>
/// Codes of a picture that stay while others are drawn: in-painting, out-painting, variations. What stays right of a drawn code and below it is not
/// seen when that code is drawn: the model goes row by row, from left to right.
/// </summary>
internal static class KeptCodes
{
    private const int White = 128;

    /// <param name="tokenizer">Encodes the picture.</param>
    /// <param name="picture">Cropped to the middle square, as pictures are to be encoded.</param>
    /// <param name="mask">White where codes are drawn: a code is if any pixel of its square is. Cropped as the picture. Null: nowhere.</param>
    /// <param name="keptRows">Rows of codes that stay; those below are drawn. Null: as the mask says.</param>
    /// <returns>[T], -1 where a code is drawn.</returns>
    /// <exception cref="ConfigException">Neither mask nor rows, or nothing remains to draw.</exception>
    public static int[] From(IImageTokenizer tokenizer, RgbImage picture, RgbImage? mask, int? keptRows)
    {
        var (side, grid, factor) = (tokenizer.Config.ImageSide, tokenizer.Config.GridSide, tokenizer.Config.DownsamplingFactor);
        if (mask is null && keptRows is null)
        {
            throw Wrong("A picture alone says nothing of what is drawn; give a mask, or the rows that are kept.");
        }

        if (keptRows is < 0 || keptRows >= grid)
        {
            throw Wrong($"KeepRows {keptRows} must be from 0 to {grid - 1}: the grid has {grid} rows.");
        }

        var codes = new int[tokenizer.Config.CodesPerImage];
        tokenizer.Encode(ImageCrops.Centre(picture, side).Pixels, codes);
        var white = mask is null ? null : ImageCrops.Centre(mask, side).Pixels;
        for (var i = 0; i < codes.Length; i++)
        {
            if (i / grid >= keptRows || (white is not null && IsWhite(white, side, i / grid * factor, i % grid * factor, factor)))
            {
                codes[i] = GenerationRequests.Drawn;
            }
        }

        return codes.Contains(GenerationRequests.Drawn)
            ? codes
            : throw Wrong("The mask is black all over, so nothing is drawn; white is drawn anew.");
    }

    private static bool IsWhite(byte[] mask, int side, int top, int left, int size)
    {
        for (var i = 0; i < size * size; i++)
        {
            var at = (((top + (i / size)) * side) + left + (i % size)) * 3;
            if (mask[at] + mask[at + 1] + mask[at + 2] >= 3 * White)
            {
                return true;
            }
        }

        return false;
    }

    private static ConfigException Wrong(string message) => new(message) { Settings = ["Image", "Mask", "KeepRows"] };
}
