using System.Globalization;
using NextPatch.Cli.Rendering;
using NextPatch.Evaluation.Reconstruction;

namespace NextPatch.Cli.Tokenizers;

/// <summary>An evaluation as lines for people.</summary>
internal static class TokenizerTable
{
    public static void Write(Terminal terminal, TokenizerEvaluation result)
    {
        var facts = Facts(result).ToList();
        terminal.WriteFacts(facts, Math.Max(16, facts.Max(f => f.Name.Length)));
    }

    private static IEnumerable<(string Name, string? Value)> Facts(TokenizerEvaluation r) =>
    [
        ("images", Text($"{r.Count:N0} of {Source(r)}, {r.ImageSize}x{r.ImageSize} pixels")
            + (r.Skipped > 0 ? Text($"; {r.Skipped:N0} cannot be read") : "")),
        ("tokenizer", Text($"{r.GridSide}x{r.GridSide} codes of {r.CodebookSize:N0}, SHA-256 {r.TokenizerHash[..12]}")),
        ("PSNR", Text($"{r.Psnr:0.00} dB")),
        ("SSIM", r.Ssim is { } ssim ? Text($"{ssim:0.0000}") : "images are too small"),
        ("LPIPS", r.Lpips is { } lpips ? Text($"{lpips:0.0000}") : null),
        ("SqueezeNet", r.SqueezeNetDistance is { } distance ? Text($"{distance:0.0000}") : null),
        (r.Rfid is null ? $"rFD-{r.Network}" : "rFID",
            (r.Rfid ?? r.Rfd) is { } frechet ? Text(
            $"{frechet:0.0000}, resize {r.Resize}{(r.Count < 2048 ? $"; of {r.Count:N0} images, too few to compare with others" : "")}") : null),
        (r.Pfid is null ? $"pFD-{r.Network}" : "pFID", (r.Pfid ?? r.Pfd) is { } perturbed ? Text($"{perturbed:0.0000}") : null),
        ("codebook usage", Text($"{100 * r.CodebookUsage:0.0} % ({r.UsedCodes:N0} codes)")),
        ("perplexity", Text($"{r.Perplexity:0.0}")),
        ("perturbed", r.Perturbed is { } p ? Text(
            $"{p.Psnr:0.00} dB, SSIM {p.Ssim:0.0000}, with {100 * p.CodeShare:0.#} % of the codes drawn among {p.Neighbours} neighbours") : null),
        ("speed", Text($"{r.ImagesPerSecond:0.00} images/s")),
    ];

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static string Source(TokenizerEvaluation r) => r.Part is null ? r.Dataset : $"{r.Dataset}, {r.Part} part";
}
