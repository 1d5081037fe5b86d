using System.Text;
using NextPatch.Text.Tokens;

namespace NextPatch.Text.Tests.Tokens;

/// <summary>SentencePiece models of a few pieces.</summary>
internal static class ModelBytes
{
    public static byte[] Small(byte[]? map = null, int modelType = 1) =>
    [
        .. Piece("<pad>", 0, PieceKind.Control), .. Piece("</s>", 0, PieceKind.Control), .. Piece("<unk>", 0, PieceKind.Unknown),
        .. Piece("\u2581", -2), .. Piece("a", -4), .. Piece("b", -4), .. Piece("ab", -5), .. Piece("\u2581ab", -6), .. Piece("\u2581a", -9),
        .. Field(2, [.. Number(3, modelType)]), .. Field(3, [.. map is null ? [] : Field(2, map)]),
    ];

    public static byte[] Piece(string text, float score, PieceKind kind = PieceKind.Normal)
        => Field(1, [.. Field(1, Encoding.UTF8.GetBytes(text)), 0x15, .. BitConverter.GetBytes(score), .. Number(3, (int)kind)]);

    public static byte[] Field(int number, byte[] bytes) => [.. Varint((number << 3) | 2), .. Varint(bytes.Length), .. bytes];

    private static byte[] Number(int number, int value) => [.. Varint(number << 3), .. Varint(value)];

    private static byte[] Varint(int value) => value < 128 ? [(byte)value] : [(byte)((value & 127) | 128), .. Varint(value >> 7)];
}
