using NextPatch.Core;
using NextPatch.Core.Imaging;

namespace NextPatch.Data.Imaging;

/// <summary>Binary grey (P5) and colour (P6) files of the portable anymap family with one byte per sample.</summary>
internal static class PnmPicture
{
    public static bool IsPnm(ReadOnlySpan<byte> file)
        => file is [(byte)'P', (byte)'5' or (byte)'6', (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t' or (byte)'#', ..];

    /// <param name="file">The whole file.</param>
    /// <param name="name">What messages call it.</param>
    /// <param name="checkSize">Throws where width and height are more than the file may claim.</param>
    /// <exception cref="DataFormatException">Truncated or damaged; names the file.</exception>
    public static RgbImage Decode(ReadOnlySpan<byte> file, string name, Action<int, int> checkSize)
    {
        var at = 2;
        var (width, height, most) = (Number(file, ref at, name), Number(file, ref at, name), Number(file, ref at, name));
        if (width == 0 || height == 0 || most is 0 or > byte.MaxValue)
        {
            throw new DataFormatException(
                $"'{name}' cannot be decoded as an image: {width}x{height} with samples up to {most}; expected 1 to 255. Remove or convert it.");
        }

        checkSize(width, height);
        var channels = file[1] == '6' ? 3 : 1;
        at++; // one blank ends the header
        if (file.Length - at < (long)width * height * channels)
        {
            throw new DataFormatException($"'{name}' cannot be decoded as an image: it is truncated. Remove or replace it.");
        }

        var image = new RgbImage(width, height);
        for (var i = 0; i < image.Pixels.Length; i++)
        {
            var sample = file[at + (channels == 3 ? i : i / 3)];
            image.Pixels[i] = most == byte.MaxValue ? sample : (byte)Math.Min(Math.Round((double)sample / most * byte.MaxValue), byte.MaxValue);
        }

        return image;
    }

    /// <summary>The next number of the header; blanks and comments before it are passed over.</summary>
    private static int Number(ReadOnlySpan<byte> file, ref int at, string name)
    {
        while (at < file.Length && !char.IsAsciiDigit((char)file[at]))
        {
            var lineEnd = file[at] == '#' ? file[at..].IndexOf((byte)'\n') : 0;
            at = lineEnd < 0 ? file.Length : at + lineEnd + 1;
        }

        var value = 0;
        for (; at < file.Length && char.IsAsciiDigit((char)file[at]) && value < 1 << 24; at++)
        {
            value = (value * 10) + file[at] - '0';
        }

        return at < file.Length
            ? value
            : throw new DataFormatException($"'{name}' cannot be decoded as an image: its header is truncated. Remove or replace it.");
    }
}
