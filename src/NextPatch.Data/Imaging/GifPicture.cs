using NextPatch.Core;
using NextPatch.Core.Imaging;

namespace NextPatch.Data.Imaging;

/// <summary>
/// The first picture of a GIF file as Pillow converts it to RGB: transparent pixels show the colour of their index, and so does what the picture
/// leaves free.
/// </summary>
/// <remarks>Source: the GIF89a specification. SkiaSharp would give black where the picture is transparent.</remarks>
internal ref struct GifPicture
{
    private const byte ImageMark = 0x2C;
    private const byte ExtensionMark = 0x21;
    private const byte GraphicControl = 0xF9;
    private const int MaxCodes = 1 << 12;

    private readonly ReadOnlySpan<byte> _file;
    private readonly string _name;
    private int _at;

    private GifPicture(ReadOnlySpan<byte> file, string name)
    {
        _file = file;
        _name = name;
    }

    public static bool IsGif(ReadOnlySpan<byte> file) => file.StartsWith("GIF87a"u8) || file.StartsWith("GIF89a"u8);

    /// <param name="file">The whole file.</param>
    /// <param name="name">What messages call it.</param>
    /// <param name="checkSize">Throws where width and height are more than the file may claim.</param>
    /// <exception cref="DataFormatException">Truncated or damaged; names the file.</exception>
    public static RgbImage Decode(ReadOnlySpan<byte> file, string name, Action<int, int> checkSize) => new GifPicture(file, name).Decode(checkSize);

    private RgbImage Decode(Action<int, int> checkSize)
    {
        _at = 6;
        var (width, height) = (Short(), Short());
        var globalFlags = Byte();
        _at += 2; // background colour, aspect ratio
        var palette = Palette(globalFlags);
        var free = SkipToPicture();
        var (left, top, pictureWidth, pictureHeight, flags) = (Short(), Short(), Short(), Short(), Byte());
        palette = (flags & 0x80) != 0 ? Palette(flags) : palette;
        (width, height) = (Math.Max(width, left + pictureWidth), Math.Max(height, top + pictureHeight));
        if (pictureWidth == 0 || pictureHeight == 0)
        {
            throw Damaged("the picture has no pixels");
        }

        checkSize(width, height);
        var indices = Inflate(pictureWidth * pictureHeight);
        var image = new RgbImage(width, height);
        for (var i = 0; i < width * height; i++)
        {
            Colour(palette, free, image.Pixels.AsSpan(i * 3, 3));
        }

        for (var y = 0; y < pictureHeight; y++)
        {
            var row = (flags & 0x40) != 0 ? Interlaced(y, pictureHeight) : y;
            for (var x = 0; x < pictureWidth; x++)
            {
                Colour(palette, indices[(y * pictureWidth) + x], image.Pixels.AsSpan((((top + row) * width) + left + x) * 3, 3));
            }
        }

        return image;
    }

    /// <returns>The transparent index, or 0: what fills the screen where the picture does not.</returns>
    private byte SkipToPicture()
    {
        byte free = 0;
        for (; ; )
        {
            switch (Byte())
            {
                case ImageMark:
                    return free;
                case ExtensionMark:
                    var isControl = Byte() == GraphicControl;
                    for (var length = Byte(); length > 0; length = Byte())
                    {
                        var block = Bytes(length);
                        free = isControl && length >= 4 && (block[0] & 1) != 0 ? block[3] : free;
                    }

                    break;
                case 0: // padding that some writers leave
                    break;
                default:
                    throw Damaged("it holds no picture");
            }
        }
    }

    /// <summary>LZW: codes of growing width stand for earlier strings, each one pixel longer than the one it was built from.</summary>
    private byte[] Inflate(int pixels)
    {
        var literalBits = Byte();
        if (literalBits is < 1 or > 8)
        {
            throw Damaged($"its code size is {literalBits}");
        }

        var (clear, end) = (1 << literalBits, (1 << literalBits) + 1);
        var (prefixes, lasts, lengths) = (new int[MaxCodes], new byte[MaxCodes], new int[MaxCodes]);
        for (var code = 0; code < clear; code++)
        {
            (lasts[code], lengths[code]) = ((byte)code, 1);
        }

        var result = new byte[pixels];
        var (done, bits, next, previous, buffer, held, blockLeft) = (0, literalBits + 1, end + 1, -1, 0, 0, 0);
        while (done < pixels)
        {
            for (; held < bits; held += 8)
            {
                blockLeft = blockLeft > 0 ? blockLeft : Byte();
                if (blockLeft-- == 0)
                {
                    throw Damaged("it is truncated");
                }

                buffer |= Byte() << held;
            }

            var code = buffer & ((1 << bits) - 1);
            (buffer, held) = (buffer >> bits, held - bits);
            if (code == clear)
            {
                (bits, next, previous) = (literalBits + 1, end + 1, -1);
                continue;
            }

            if (code == end || code > next || (code == next && previous < 0))
            {
                throw Damaged(code == end ? "it is truncated" : "its codes are wrong");
            }

            // A new string is the previous one and the first pixel of this one, which may be the new string itself.
            if (previous >= 0 && next < MaxCodes)
            {
                (prefixes[next], lengths[next]) = (previous, lengths[previous] + 1);
                lasts[next] = First(prefixes, lasts, lengths, code == next ? previous : code);
                next++;
                bits += next == 1 << bits && bits < 12 ? 1 : 0;
            }
            else if (code >= next)
            {
                throw Damaged("its codes are wrong");
            }

            for (int at = code, k = done + lengths[code] - 1; k >= done; at = prefixes[at], k--)
            {
                if (k < pixels)
                {
                    result[k] = lasts[at];
                }
            }

            (done, previous) = (done + lengths[code], code);
        }

        return result;
    }

    private static byte First(int[] prefixes, byte[] lasts, int[] lengths, int code)
    {
        while (lengths[code] > 1)
        {
            code = prefixes[code];
        }

        return lasts[code];
    }

    /// <summary>Row of the y-th stored row: every eighth, then those between, in four passes.</summary>
    private static int Interlaced(int y, int height)
    {
        foreach (var (first, step) in (ReadOnlySpan<(int, int)>)[(0, 8), (4, 8), (2, 4), (1, 2)])
        {
            var rows = (height - first + step - 1) / step;
            if (y < rows)
            {
                return first + (y * step);
            }

            y -= Math.Max(rows, 0);
        }

        return height - 1;
    }

    /// <summary>Without a palette the index is a grey value; beyond its end colours are black.</summary>
    private static void Colour(ReadOnlySpan<byte> palette, int index, Span<byte> pixel)
    {
        if (palette.IsEmpty)
        {
            pixel.Fill((byte)index);
        }
        else if ((index * 3) + 3 <= palette.Length)
        {
            palette.Slice(index * 3, 3).CopyTo(pixel);
        }
        else
        {
            pixel.Clear();
        }
    }

    private ReadOnlySpan<byte> Palette(int flags) => (flags & 0x80) == 0 ? [] : Bytes(3 << ((flags & 7) + 1));

    private int Short() => Byte() | (Byte() << 8);

    private int Byte() => Bytes(1)[0];

    private ReadOnlySpan<byte> Bytes(int count)
    {
        if (count > _file.Length - _at)
        {
            throw Damaged("it is truncated");
        }

        _at += count;
        return _file.Slice(_at - count, count);
    }

    private readonly DataFormatException Damaged(string reason) => new($"'{_name}' cannot be decoded as an image: {reason}. Remove or replace it.");
}
