using System.Text.RegularExpressions;
using NextPatch.Core.Imaging;

namespace NextPatch.Goldens.Cases;

/// <summary>Image files decoded to RGB: whole, or the patch whose rows and columns the notes give.</summary>
internal static partial class ImageDecodeCase
{
    public static void Run(CaseRun run)
    {
        var patch = Patch().Match((string?)run.Golden.Entry["notes"] ?? "");
        foreach (var (name, expected) in run.Golden.Arrays())
        {
            var (kind, file) = (name[..name.IndexOf('.')], name[(name.IndexOf('.') + 1)..]);
            var image = GoldenImages.Decode(run.Golden, run.Golden.Listed(file));
            if (kind == "decoded_patch")
            {
                var (left, top) = (int.Parse(patch.Groups["left"].ValueSpan), int.Parse(patch.Groups["top"].ValueSpan));
                image = ImageCrops.Cut(image, left, top, (int)expected.Shape[1], (int)expected.Shape[0]);
            }

            GoldenImages.Same(run, name, image, expected);
        }
    }

    [GeneratedRegex(@"rows (?<top>\d+):\d+, cols (?<left>\d+):")]
    private static partial Regex Patch();
}
