using System.Diagnostics;
using System.Reflection;
using System.Text.Json;
using NextPatch.Cli.Diagnostics;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Reports;
using NextPatch.Cli.Training;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;
using NextPatch.Core.Generation;
using NextPatch.Data.Codes;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;
using NextPatch.Models;
using NextPatch.Sampling;
using NextPatch.Text.Encoders;
using NextPatch.Text.Features;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;
using NextPatch.Training;
using NextPatch.Training.Gpt;
using NextPatch.Training.Tokenizer;

namespace NextPatch.Cli.Quickstart;

/// <summary>
/// Text to image from nothing to a report: drawn shapes with captions, tokenizer, codes, features of the encoder by formula, Next Patch Prediction
/// and next-token training on as many images, images from captions, and what they show, measured from the pixels.
/// </summary>
internal sealed class TextQuickstart
{
    private readonly QuickstartOptions _options;
    private readonly QuickstartFolder _folder;
    private readonly TextQuickstartSettings _settings;
    private readonly IProgress<QuickstartProgress> _progress;
    private readonly Action<string> _note;
    private readonly CancellationToken _cancellation;
    private readonly Dictionary<string, double> _seconds = [];
    private readonly Stopwatch _watch = Stopwatch.StartNew();

    /// <param name="options">What a person chose.</param>
    /// <param name="progress">Told often.</param>
    /// <param name="note">Receives sentences for the person who waits.</param>
    /// <param name="cancellation">Reaches every loop.</param>
    /// <param name="settings">Null: those of the options.</param>
    public TextQuickstart(
        QuickstartOptions options, IProgress<QuickstartProgress> progress, Action<string> note, CancellationToken cancellation,
        TextQuickstartSettings? settings = null)
    {
        (_options, _folder, _settings) = (options, QuickstartFolder.Prepare(options), settings ?? TextQuickstartSettings.Create(options));
        (_progress, _note, _cancellation) = (progress, note, cancellation);
    }

    /// <summary>Runs everything and writes the report.</summary>
    public TextQuickstartResult Run()
    {
        NativeBackend.EnsureLoaded();
        var (seen, unseen) = CaptionedShapes.Split(_settings.Seed);
        var train = Timed("dataset", () => CaptionedShapes.Draw(_settings.Seed, seen, inTurn: false, 0, _settings.TrainImages));
        var heldOut = CaptionedShapes.Draw(_settings.Seed, seen, inTurn: false, 1L << 32, _settings.HeldOutImages);
        CaptionedImages[] judged =
        [
            CaptionedShapes.Draw(_settings.Seed, seen, inTurn: true, 2L << 32, _settings.SampleCount),
            CaptionedShapes.Draw(_settings.Seed, unseen, inTurn: true, 3L << 32, _settings.SampleCount),
        ];
        // All settings follow from the options, so nothing else need be remembered to continue one that was stopped.
        _folder.Save(_folder.Earlier ?? new QuickstartState(
            _options, QuickstartSettings.Create(_options), train.Traits.Length, heldOut.Traits.Length, HasTraining: false));
        _note($"{train.Traits.Length:N0} images of {seen.Length} combinations of shape, colour, size and place, such as '{train.Captions[0]}'; "
            + $"{unseen.Length} other combinations are never trained on.");
        using var tokenizer = Timed("tokenizer", () => TrainTokenizer(new DatasetSplit(train.Images, heldOut.Images)));
        using var store = Timed("codes", () => Encode(tokenizer, train, heldOut));
        using var captions = Timed("captions", () => EncodeCaptions(store));
        var model = GptTraining.Fit(GptTraining.Fit(_settings.Model, store.Manifest), captions);
        var ceiling = Array.ConvertAll(judged, images => TraitAgreement.Measure(
            images.Traits, tokenizer.DecodePixels(tokenizer.EncodePixels(images.Images.Pixels, _cancellation), _cancellation), images.Images.Side));
        var runs = new List<TextQuickstartRun>();
        foreach (var (name, output, training) in new[]
        {
            ("Next Patch Prediction", _folder.Model, _settings.Training),
            ("next-token", _folder.NextToken, _settings.Training with { PatchLevel = 1, PatchSides = null }),
        })
        {
            var (result, cost) = Timed($"training, {name}", () => Train(store, captions, model, training, output, name));
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
            _note($"{name}: all four traits are as the caption says in {runs[^1].Seen.All:P1} of the images of combinations that were trained on, in "
                + $"{runs[^1].Unseen.All:P1} of others.");
        }

        return TextQuickstartPage.Write(_folder, _watch, judged, new TextQuickstartResult
        {
            Ceiling = ceiling,
            Runs = runs,
            Combinations = seen.Length,
            UnseenCombinations = unseen.Length,
            SecondsByPart = _seconds,
            Machine = Processor.Detect().Describe(),
            Version = Assembly.GetExecutingAssembly().GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown",
            Settings = _settings,
        });
    }

    private T Timed<T>(string part, Func<T> action)
    {
        _cancellation.ThrowIfCancellationRequested();
        var start = _watch.Elapsed.TotalSeconds;
        var result = action();
        _seconds[part] = Math.Round(_watch.Elapsed.TotalSeconds - start, 2);
        return result;
    }

    private void Report(string part, long done, long total, string? extra = null)
        => _progress.Report(new QuickstartProgress(part, done, total, extra));

    private VqTokenizer TrainTokenizer(DatasetSplit data)
    {
        var config = _settings.TokenizerTraining;
        using var images = TokenizerImages.From(DatasetParts.From(data), new TokenizerImageOptions
        {
            Side = config.Tokenizer.ImageSide, Seed = config.Seed, HasRandomCrops = config.HasRandomCrops, HasFlips = config.HasFlips,
        });
        using (var run = new TokenizerRun(
            config with { Data = images.Data }, images, new TokenizerRunOptions
            {
                Output = _folder.Tokenizer, KeepLast = 1, Resume = true,
                OnProgress = p => Report("Tokenizer", p.Step, p.Steps, $"PSNR {p.Psnr:F1} dB  {p.CodebookUsage ?? 0:P0} of codes used"),
            }))
        {
            run.Run(_cancellation);
        }

        _cancellation.ThrowIfCancellationRequested();
        return VqTokenizer.Load(_folder.Tokenizer);
    }

    /// <summary>Codes of all images, each with its line in the file of captions, which is written beside them.</summary>
    private CodeStore Encode(VqTokenizer tokenizer, CaptionedImages train, CaptionedImages heldOut)
    {
        string[] captions = [.. train.Captions, .. heldOut.Captions];
        AtomicFile.WriteText(_folder.Captions, string.Concat(captions.Select(text => JsonSerializer.Serialize(new { text }) + "\n")));
        int[] codes =
        [
            .. tokenizer.EncodePixels(train.Images.Pixels, _cancellation), .. tokenizer.EncodePixels(heldOut.Images.Pixels, _cancellation),
        ];
        CodeStoreWriter.Write(_folder.Codes, new CodeManifest
        {
            Name = train.Images.Name,
            GridSide = tokenizer.Config.GridSide,
            VocabularySize = tokenizer.Config.CodebookSize,
            ClassNames = train.Images.ClassNames,
            TokenizerHash = WeightsHash.ComputeForTokenizer(_folder.Tokenizer),
            TokenizerPath = Path.GetFullPath(_folder.Tokenizer),
            ImageSide = train.Images.Side,
            Count = captions.Length,
            HeldOutCount = heldOut.Captions.Length,
            Captions = new CaptionLines { Hash = CaptionFile.HashOf(_folder.Captions), Files = [KeyValuePair.Create("captions", captions.Length)] },
        }, codes, new int[captions.Length], [.. Enumerable.Range(0, captions.Length)]);
        return CodeStore.Open(_folder.Codes);
    }

    private TrainingCaptions EncodeCaptions(CodeStore store)
    {
        TextEncoding.Run(
            new TextEncodingOptions
            {
                Captions = _folder.Captions,
                Encoder = TextEncoder.Formula,
                Output = _folder.Features,
                Clean = CaptionCleaning.None,
                MaxTokens = _settings.MaxTokens,
            },
            new ProgressLine<int>(done => Report("Captions", done, store.Count)), _cancellation);
        return TrainingCaptions.Open(store, [new TextFeatureSet(_folder.Features)]);
    }

    private (TrainingResult Result, TrainingCost Cost) Train(
        CodeStore store, TrainingCaptions captions, GptConfig model, TrainingConfig training, string output, string label)
    {
        var config = new CheckpointConfig
        {
            Model = model,
            Training = training,
            TextFeatures = captions.Origins,
            TokenizerHash = store.Manifest.TokenizerHash,
            TokenizerPath = store.Manifest.TokenizerPath,
            ImageSide = store.Manifest.ImageSide,
        };
        var options = new GptRunOptions
        {
            Output = output, LogEvery = 20, ValidateEvery = 400, KeepLast = 1, Resume = true,
            OnProgress = p => Report(label, p.Step, p.TotalSteps, TrainingDisplay.Line(p)),
        };
        using var trainer = new GptTrainer(config, store, options, captions: captions);
        RunRecord.From(
            new GptTrainingRequest
            {
                Codes = _folder.Codes, Model = model, Training = training, Run = options, TextFeatures = [new TextFeatureSet(_folder.Features)],
            }, config, store.Manifest).Write(output, _note);
        var result = trainer.Run(_cancellation);
        _cancellation.ThrowIfCancellationRequested();
        foreach (var line in TrainingDisplay.Measured(trainer.Cost, result))
        {
            _note($"{label}: {line.Trim()}");
        }

        RunReport.Write(output);
        return (result, trainer.Cost);
    }

    /// <summary>An image per caption.</summary>
    /// <returns>uint8 [N, S, S, 3].</returns>
    private byte[] Sample(string run, VqTokenizer tokenizer, CaptionedImages images)
    {
        Report("Sampling", 0, images.Captions.Length);
        using var encoder = TextEncoder.Open(TextEncoder.Formula);
        var prompts = Array.ConvertAll(images.Captions, text =>
            new PromptFeatures(text, encoder.Encode([encoder.Tokens(text, _settings.MaxTokens, out _)], _cancellation), encoder.Width));
        using var model = SampleModel.Load(run, SampleModel.NoTokenizer, WeightsKind.Ema);
        var codes = model.Engine.Generate(
            new GenerationRequest
            {
                Labels = new int[prompts.Length], Prompts = prompts, Seed = _settings.Seed, Sampling = _settings.Sampling,
            }, new ProgressLine<int>(done => Report("Sampling", done, prompts.Length)), _cancellation);
        return tokenizer.DecodePixels(codes, _cancellation);
    }
}
