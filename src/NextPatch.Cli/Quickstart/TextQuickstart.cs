using System.Text.Json;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Files;
using NextPatch.Core.Generation;
using NextPatch.Data.Codes;
using NextPatch.Data.Sources;
using NextPatch.Sampling;
using NextPatch.Text.Encoders;
using NextPatch.Text.Features;
using NextPatch.Torch.Tokenizer;
using NextPatch.Training;
using NextPatch.Training.Gpt;

namespace NextPatch.Cli.Quickstart;

/// <summary>
/// Text to image from nothing to a report: drawn shapes with captions, tokenizer, codes, features of the encoder by formula, Next Patch Prediction
/// and next-token training on as many images, images from captions, and what they show, measured from the pixels.
/// </summary>
internal sealed class TextQuickstart : QuickstartRun
{
    private const int ValidateEvery = 400;

    private readonly TextQuickstartSettings _settings;

    /// <param name="options">What a person chose.</param>
    /// <param name="progress">Told often.</param>
    /// <param name="note">Receives sentences for the person who waits.</param>
    /// <param name="cancellation">Reaches every loop.</param>
    /// <param name="settings">Null: those of the options.</param>
    public TextQuickstart(
        QuickstartOptions options, IProgress<QuickstartProgress> progress, Action<string> note, CancellationToken cancellation,
        TextQuickstartSettings? settings = null)
        : base(options, progress, note, cancellation)
        => _settings = settings ?? TextQuickstartSettings.Create(options);

    /// <summary>Runs everything and writes the report.</summary>
    public TextQuickstartResult Run()
    {
        var (seen, unseen) = CaptionedShapes.Split(_settings.Seed);
        var train = Timed("dataset", () => CaptionedShapes.Draw(_settings.Seed, seen, inTurn: false, 0, _settings.TrainImages));
        var heldOut = CaptionedShapes.Draw(_settings.Seed, seen, inTurn: false, 1L << 32, _settings.HeldOutImages);
        CaptionedImages[] judged =
        [
            CaptionedShapes.Draw(_settings.Seed, seen, inTurn: true, 2L << 32, _settings.SampleCount),
            CaptionedShapes.Draw(_settings.Seed, unseen, inTurn: true, 3L << 32, _settings.SampleCount),
        ];
        // All settings follow from the options, so nothing else need be remembered to continue one that was stopped.
        Folder.Save(Folder.Earlier ?? new QuickstartState(
            Options, QuickstartSettings.Create(Options), train.Traits.Length, heldOut.Traits.Length, HasTraining: false));
        Note($"{train.Traits.Length:N0} images of {seen.Length} combinations of shape, colour, size and place, such as '{train.Captions[0]}'; "
            + $"{unseen.Length} other combinations are never trained on.");
        var data = new DatasetSplit(train.Images, heldOut.Images);
        using var tokenizer = Timed("tokenizer", () => TrainTokenizer(_settings.TokenizerTraining, data));
        using var store = Timed("codes", () => Encode(tokenizer, train, heldOut));
        using var captions = Timed("captions", () => EncodeCaptions(store));
        var model = GptTraining.Fit(GptTraining.Fit(_settings.Model, store.Manifest), captions);
        var ceiling = Array.ConvertAll(judged, images => TraitAgreement.Measure(
            images.Traits, tokenizer.DecodePixels(tokenizer.EncodePixels(images.Images.Pixels, Cancellation), Cancellation), images.Images.Side));
        var runs = new List<TextQuickstartRun>();
        foreach (var (name, output, training) in new[]
        {
            ("Next Patch Prediction", Folder.Model, _settings.Training),
            ("next-token", Folder.NextToken, _settings.Training with { PatchLevel = 1, PatchSides = null }),
        })
        {
            var (result, cost) = Timed($"training, {name}", () => Train(name, output, store, model, training, ValidateEvery, captions));
            var pictures = Timed($"sampling, {name}", () => Array.ConvertAll(judged, images => Sample(output, tokenizer, images)));
            runs.Add(new TextQuickstartRun
            {
                Name = name,
                Seen = TraitAgreement.Measure(judged[0].Traits, pictures[0], judged[0].Images.Side),
                Unseen = TraitAgreement.Measure(judged[1].Traits, pictures[1], judged[1].Images.Side),
                HeldOutLoss = result.AverageValidationLoss ?? result.ValidationLoss!.Value,
                TrainingSeconds = result.StageSeconds.Sum(),
                PlannedFlops = cost.TotalFlops,
                Pictures = pictures,
            });
            Note($"{name}: all four traits are as the caption says in {runs[^1].Seen.All:P1} of the images of combinations that were trained on, in "
                + $"{runs[^1].Unseen.All:P1} of others.");
        }

        return TextQuickstartPage.Write(Folder, Watch, judged, new TextQuickstartResult
        {
            Ceiling = ceiling,
            Runs = runs,
            Combinations = seen.Length,
            UnseenCombinations = unseen.Length,
            SecondsByPart = SecondsByPart,
            Machine = Machine,
            Version = Version,
            Settings = _settings,
        });
    }

    /// <summary>Codes of all images, each with its line in the file of captions, which is written beside them.</summary>
    private CodeStore Encode(VqTokenizer tokenizer, CaptionedImages train, CaptionedImages heldOut)
    {
        string[] captions = [.. train.Captions, .. heldOut.Captions];
        AtomicFile.WriteText(Folder.Captions, string.Concat(captions.Select(text => JsonSerializer.Serialize(new { text }) + "\n")));
        int[] codes =
        [
            .. tokenizer.EncodePixels(train.Images.Pixels, Cancellation), .. tokenizer.EncodePixels(heldOut.Images.Pixels, Cancellation),
        ];
        CodeStoreWriter.Write(Folder.Codes, Codes(tokenizer, new DatasetSplit(train.Images, heldOut.Images)) with
        {
            Captions = new CaptionLines { Hash = CaptionFile.HashOf(Folder.Captions), Files = [KeyValuePair.Create("captions", captions.Length)] },
        }, codes, new int[captions.Length], [.. Enumerable.Range(0, captions.Length)]);
        return CodeStore.Open(Folder.Codes);
    }

    private TrainingCaptions EncodeCaptions(CodeStore store)
    {
        TextEncoding.Run(
            new TextEncodingOptions
            {
                Captions = Folder.Captions,
                Encoder = TextEncoder.Formula,
                Output = Folder.Features,
                Clean = CaptionCleaning.None,
                MaxTokens = _settings.MaxTokens,
            },
            Progress("Captions", store.Count), Cancellation);
        return TrainingCaptions.Open(store, [new TextFeatureSet(Folder.Features)]);
    }

    /// <summary>An image per caption.</summary>
    /// <returns>uint8 [N, S, S, 3].</returns>
    private byte[] Sample(string run, VqTokenizer tokenizer, CaptionedImages images)
    {
        Report("Sampling", 0, images.Captions.Length);
        using var encoder = TextEncoder.Open(TextEncoder.Formula);
        var prompts = Array.ConvertAll(images.Captions, text =>
            new PromptFeatures(text, encoder.Encode([encoder.Tokens(text, _settings.MaxTokens, out _)], Cancellation), encoder.Width));
        using var model = SampleModel.Load(run, SampleModel.NoTokenizer, WeightsKind.Ema);
        var codes = model.Engine.Generate(
            new GenerationRequest
            {
                Labels = new int[prompts.Length], Prompts = prompts, Seed = _settings.Seed, Sampling = _settings.Sampling,
            }, Progress("Sampling", prompts.Length), Cancellation);
        return tokenizer.DecodePixels(codes, Cancellation);
    }
}
