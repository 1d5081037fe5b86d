using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Tokenizers;
using NextPatch.Core;
using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;
using NextPatch.Data.Codes;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;
using NextPatch.Models;
using NextPatch.Reconstruction;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch tokenizer reconstruct</c>: images through a tokenizer, or codes back to images.</summary>
internal static class TokenizerReconstructCommand
{
    public static Command Create()
    {
        var input = new TokenizerImageInput(isRequired: false);
        var images = new Option<string?>("--images")
        {
            Description = "A dataset (folder, .tar, .tar.gz, .zip, .npz, .csv, .jsonl, CIFAR or IDX files).", HelpName = "path",
        };
        var codes = new Option<string?>("--codes")
        {
            Description = "A folder of codes instead: their first variant of each image is decoded.", HelpName = "dir",
        };
        var output = new Option<string>("--output")
        {
            Description = "Folder for 000000.png .. and grid.png.", HelpName = "dir", DefaultValueFactory = _ => "reconstructions",
        };
        var command = new Command(
            "reconstruct",
            """
            Encodes and decodes images, and writes what comes back as numbered PNG files that remember their source, in the order of
            the dataset. grid.png shows the first ones, each original left of its reconstruction.

            Examples:
              nextpatch tokenizer reconstruct --images photographs --tokenizer tok --count 32 --output seen
              nextpatch tokenizer reconstruct --codes codes --tokenizer vq_ds16_c2i.pt --count 16 --output decoded
            """) { images, codes };
        input.AddTo(command);
        command.Add(output);
        command.SetAction((parsed, cancellation) =>
        {
            var terminal = Terminal.From(parsed);
            var tokenizer = parsed.GetValue(codes) is { } own && parsed.GetValue(images) is null
                ? CodeTokenizer.Find(own, parsed.GetValue(input.Tokenizer)) ?? input.PathOf(parsed)
                : input.PathOf(parsed);
            var writer = new ReconstructionWriter(parsed.GetRequiredValue(output), WeightsHash.ComputeForTokenizer(tokenizer));
            using (var progress = terminal.CreateProgress())
            {
                _ = (parsed.GetValue(images), parsed.GetValue(codes)) switch
                {
                    ({ } path, null) => FromImages(parsed, input, path, tokenizer, writer, progress, cancellation),
                    (null, { } folder) => FromCodes(parsed, input, folder, tokenizer, writer, progress, cancellation),
                    _ => throw new ConfigException("Name either --images or --codes."),
                };
            }

            terminal.Data.WriteLine(writer.WriteGrid());
            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }

    private static int FromImages(
        ParseResult parsed, TokenizerImageInput input, string path, string tokenizerPath, ReconstructionWriter writer, ProgressReporter progress,
        CancellationToken cancellation)
    {
        using var tokenizer = input.Load(parsed, tokenizerPath);
        using var parts = DatasetReader.OpenParts(path, cancellation);
        var source = input.Choose(parsed, parts);
        if (LeftOutFiles.Describe(parts.Train.Name, parts.Train.LeftOut) is { } leftOut)
        {
            progress.WriteLine(leftOut);
        }

        var stream = new ReconstructionStream(tokenizer, source, input.OnErrorOf(parsed));
        var side = tokenizer.Config.ImageSide;
        foreach (var batch in stream.Read(progress.For("Reconstructing", source.Count), cancellation))
        {
            for (var i = 0; i < batch.Images.Count; i++)
            {
                writer.Write(batch.Images[i].Value, new RgbImage(side, side, batch.Of(batch.Reconstructions, i).ToArray()), batch.Images[i].Path);
            }
        }

        foreach (var bad in stream.Skipped)
        {
            progress.WriteLine($"left out: {bad.Reason}");
        }

        return writer.Count > 0 ? writer.Count : throw new NextPatchException($"No image of '{path}' could be read.");
    }

    private static int FromCodes(
        ParseResult parsed, TokenizerImageInput input, string folder, string tokenizerPath, ReconstructionWriter writer, ProgressReporter progress,
        CancellationToken cancellation)
    {
        using var store = CodeStore.Open(folder);
        using var tokenizer = input.Load(parsed, tokenizerPath, store.Manifest.GridSide);
        RequireFit(store.Manifest, tokenizer, folder, tokenizerPath);
        var (side, count, size) =
            (tokenizer.Config.ImageSide, Math.Min(store.Count, input.CountOf(parsed) ?? store.Count),
            tokenizer.Config.ImageSide * tokenizer.Config.ImageSide * 3);
        int Place(int i) => (int)((long)i * store.Count / count);
        for (int first = 0, part; first < count; first += part)
        {
            part = Math.Min(ReconstructionStream.BatchOf(tokenizer), count - first);
            var codes = new int[part * store.CodesPerImage];
            for (var i = 0; i < part; i++)
            {
                store.ReadCodes(Place(first + i), 0, codes.AsSpan(i * store.CodesPerImage, store.CodesPerImage));
            }

            var pixels = tokenizer.Decode(codes, cancellation);
            for (var i = 0; i < part; i++)
            {
                writer.Write(
                    original: null, new RgbImage(side, side, pixels.AsSpan(i * size, size).ToArray()), $"{folder}, image {Place(first + i)}");
            }

            progress.Report("Decoding", first + part, count);
        }

        return count;
    }

    private static void RequireFit(CodeManifest codes, IImageTokenizer tokenizer, string folder, string path)
    {
        if (codes.GridSide != tokenizer.Config.GridSide || codes.VocabularySize > tokenizer.Config.CodebookSize)
        {
            throw new NextPatchException(
                $"The codes in {folder} are {codes.GridSide}x{codes.GridSide} of {codes.VocabularySize}, but the tokenizer in {path} has "
                    + $"{tokenizer.Config.GridSide}x{tokenizer.Config.GridSide} of {tokenizer.Config.CodebookSize}; name the tokenizer that made "
                    + $"them.");
        }

        if (codes.TokenizerHash is { } expected && WeightsHash.ComputeForTokenizer(path) is var found && found != expected)
        {
            throw new NextPatchException(
                $"The tokenizer in {path} has the hash {found[..12]}, but the codes in {folder} were made by "
                + $"{expected[..Math.Min(12, expected.Length)]}; name that one.");
        }
    }
}
