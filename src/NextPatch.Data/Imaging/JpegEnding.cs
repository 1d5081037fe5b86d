namespace NextPatch.Data.Imaging;

/// <summary>Whether a progressive JPEG stops before its end marker. The decoder shows what there is, grey or blurred, and reports success.</summary>
internal static class JpegEnding
{
    private const byte Progressive = 0xC2;
    private const byte StartOfScan = 0xDA;
    private const byte EndOfImage = 0xD9;

    public static bool IsMissing(ReadOnlySpan<byte> file)
    {
        // Marker segments up to the first scan: FF, marker, length (which counts itself), content.
        var progressive = false;
        for (var at = 2; at + 4 <= file.Length;)
        {
            if (file[at] != 0xFF)
            {
                return false; // damaged: the decoder's business
            }

            var marker = file[at + 1];
            if (marker == 0xFF)
            {
                at++; // padding
                continue;
            }

            progressive |= marker == Progressive;
            at += 2 + ((file[at + 2] << 8) | file[at + 3]);
            if (marker == StartOfScan)
            {
                return progressive && at < file.Length && file[at..].IndexOf((ReadOnlySpan<byte>)[0xFF, EndOfImage]) < 0;
            }
        }

        return false;
    }
}
