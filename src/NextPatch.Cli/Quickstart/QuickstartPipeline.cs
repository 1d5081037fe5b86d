using System.Diagnostics;
using System.Reflection;
using NextPatch.Cli.Diagnostics;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Reports;
using NextPatch.Cli.Training;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;
using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;
using NextPatch.Data.Codes;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;
using NextPatch.Evaluation.Metrics;
using NextPatch.Evaluation.Networks;
using NextPatch.Models;
using NextPatch.Sampling;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;
using NextPatch.Training;
using NextPatch.Training.Gpt;
using NextPatch.Training.Tokenizer;

namespace NextPatch.Cli.Quickstart;

/// <summary>The main job: dataset, tokenizer, codes, coarse-to-fine training, samples, measurements, report.</summary>
internal sealed class QuickstartPipeline
{
    private const int ComparedPerClass = 6;
    private const int ComparedPoints = 8;

    private readonly QuickstartOptions _options;
    private readonly QuickstartFolder _folder;
    private readonly IProgress<QuickstartProgress> _progress;
    private readonly Action<string> _note;
    private readonly CancellationToken _cancellation;
    private readonly Dictionary<string, double> _seconds = [];
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private QuickstartSettings _settings;
    private QuickstartState? _state;

    /// <param name="options">What a person chose.</param>
    /// <param name="progress">Told often.</param>
    /// <param name="note">Receives sentences for the person who waits.</param>
    /// <param name="cancellation">Reaches every loop.</param>
    public QuickstartPipeline(QuickstartOptions options, IProgress<QuickstartProgress> progress, Action<string> note, CancellationToken cancellation)
    {
        _options = options;
        _folder = QuickstartFolder.Prepare(options);
        _settings = _folder.Earlier?.Settings ?? QuickstartSettings.Create(options);
        (_progress, _note) = (progress, note);
        _cancellation = cancellation;
    }

    /// <summary>Runs everything and writes the report.</summary>
    public QuickstartResult Run()
    {
        NativeBackend.EnsureLoaded();
        var data = Timed("dataset", () => QuickstartData.Read(
            _settings, new ProgressLine<ReadProgress>(p => Report("Reading images", p.Done, p.Total)), _note, _cancellation));
        _note($"Dataset '{data.Train.Name}': {data.Train.Count:N0} training and {data.HeldOut.Count:N0} held-out images of "
            + $"{data.Train.Side}x{data.Train.Side}, {data.Train.ClassNames.Count} classes.");
        FitToData(data.Train);
        if (_folder.Earlier is { } earlier)
        {
            _note($"Continues the quickstart that was stopped in {_folder.Root}.");
            data = new DatasetSplit(TimeBudget.Part(data.Train, earlier.TrainImages), TimeBudget.Part(data.HeldOut, earlier.HeldOutImages));
        }
        else if (_settings.Minutes is { } minutes)
        {
            (data, var judge) = TimeBudget.Fit(_settings, data, minutes, _watch.Elapsed.TotalSeconds, _note, _cancellation);
            _settings = _settings with { Classifier = judge };
        }

        var accuracy = 0.0;
        using var classifier = Timed("classifier", () => TrainClassifier(data, out accuracy));
        _note($"Judge: a small classifier, {accuracy:P2} right on held-out real images.");
        using var tokenizer = Timed("tokenizer", () => TrainTokenizer(data));
        var heldOutReconstructions = Array.Empty<byte>();
        var trainReconstructions = Array.Empty<byte>();
        using var store = Timed("codes", () => Encode(tokenizer, data, out heldOutReconstructions, out trainReconstructions));
        var (training, cost, weights) = Timed("training", () => Train(store));
        if (_options.Compare)
        {
            Timed("next-token training", () => TrainNextToken(store));
        }

        var labels = Enumerable.Range(0, _settings.SampleCount).Select(i => i % data.Train.ClassNames.Count).ToArray();
        var samples = Timed("sampling", () => Sample(training.Checkpoint!, weights, data.Train, labels));
        var metrics = Timed(
            "metrics", () => SampleMetrics.Compute(classifier, samples, data.HeldOut, heldOutReconstructions, trainReconstructions, _cancellation));
        var judged = classifier.Classify(samples.Pixels, _cancellation).Labels;

        var result = new QuickstartResult
        {
            Seconds = 0,
            ClassifierHeldOutAccuracy = accuracy,
            ClassAgreement = metrics.ClassAgreement,
            ReconstructionAgreement = metrics.ReconstructionAgreement,
            Diversity = metrics.Diversity,
            CopyRate = metrics.CopyRate,
            PlannedRelativeCost = cost.RelativeCost,
            MeasuredRelativeCost = training.MeasuredRelativeCost,
            FinalValidationLoss = weights == "ema" ? training.AverageValidationLoss!.Value : training.ValidationLoss!.Value,
            SampledWeights = weights,
            ClassAgreementByClass = AgreementByClass(data.Train.ClassNames, labels, judged),
            ReconstructionPsnr = PeakSignalToNoise.Compute(data.HeldOut.Pixels, heldOutReconstructions),
            Stages = [.. cost.Stages.Select((stage, i) => StageTiming.Create(stage, training.StageSeconds[i], training.StageImages[i]))],
            SecondsByPart = _seconds,
            Machine = Processor.Detect().Describe(),
            Version = Assembly.GetExecutingAssembly().GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown",
            Settings = _settings,
        };
        if (_options.Compare)
        {
            Timed("comparison", Compare);
        }

        return QuickstartReport.Write(_folder, result, _watch, new ReportPictures(data, heldOutReconstructions, samples, judged));
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

    private void FitToData(ImageDataset train)
        => _settings = _settings with { Model = (_settings.Model with { ClassCount = train.ClassNames.Count }).Validated() };

    private SmallClassifier TrainClassifier(DatasetSplit data, out double accuracy)
    {
        var steps = new ProgressLine<ClassifierProgress>(p => Report(
            "Classifier", p.Steps, p.MaximumSteps, p.HeldOutAccuracy is { } share ? $"held-out accuracy {share:P2}" : $"loss {p.Loss:F3}"));
        return ClassifierTrainer.Train(data, _settings.Classifier, out accuracy, steps, _cancellation);
    }

    private VqTokenizer TrainTokenizer(DatasetSplit data)
    {
        var config = _settings.TokenizerTraining;
        using var images = TokenizerImages.From(DatasetParts.From(data), new TokenizerImageOptions
        {
            Side = config.Tokenizer.ImageSide, Seed = config.Seed, HasRandomCrops = config.HasRandomCrops, HasFlips = config.HasFlips,
        });
        config = config with { Data = images.Data };
        if (_settings.Minutes is { } minutes && _folder.Earlier is null)
        {
            var budget = TimeBudget.ForTokenizer((minutes * 60) - _watch.Elapsed.TotalSeconds);
            config = TimeBudget.Fit(config, images, _folder.Scratch, budget, _cancellation);
        }

        _settings = _settings with { TokenizerTraining = config };
        _state = _folder.Earlier ?? new QuickstartState(_options, _settings, data.Train.Count, data.HeldOut.Count, HasTraining: false);
        _folder.Save(_state);
        using (var run = new TokenizerRun(
            config, images, new TokenizerRunOptions
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

    private CodeStore Encode(VqTokenizer tokenizer, DatasetSplit data, out byte[] heldOutReconstructions, out byte[] trainReconstructions)
    {
        Report("Encoding", 0, 2);
        var train = tokenizer.EncodePixels(data.Train.Pixels, _cancellation);
        var heldOut = tokenizer.EncodePixels(data.HeldOut.Pixels, _cancellation);
        CodeStore.Write(_folder.Codes, new CodeManifest
        {
            Name = data.Train.Name,
            GridSide = tokenizer.Config.GridSide,
            VocabularySize = tokenizer.Config.CodebookSize,
            ClassNames = data.Train.ClassNames,
            TokenizerHash = WeightsHash.ComputeForTokenizer(_folder.Tokenizer),
            TokenizerPath = Path.GetFullPath(_folder.Tokenizer),
            ImageSide = data.Train.Side,
            Count = data.Train.Count + data.HeldOut.Count,
            HeldOutCount = data.HeldOut.Count,
        }, [.. train, .. heldOut], [.. data.Train.Labels, .. data.HeldOut.Labels]);
        Report("Encoding", 1, 2);
        heldOutReconstructions = tokenizer.DecodePixels(heldOut, _cancellation);
        trainReconstructions = tokenizer.DecodePixels(train, _cancellation);
        Report("Encoding", 2, 2);
        return CodeStore.Open(_folder.Codes);
    }

    private (TrainingResult Result, TrainingCost Cost, string Weights) Train(CodeStore store)
    {
        if (_settings.Minutes is { } minutes && !_state!.HasTraining)
        {
            var budget = TimeBudget.ForTraining((minutes * 60) - _watch.Elapsed.TotalSeconds, _seconds, _options.Compare);
            _settings = _settings with
            {
                Training = TimeBudget.Fit(_settings.Training, _settings.Model, store, _folder.Scratch, budget, _cancellation),
            };
        }

        _folder.Save(_state! with { Settings = _settings, HasTraining = true });
        var (result, cost) = Train(store, _folder.Model, "Training", _settings.Training);
        return (result, cost, result.AverageValidationLoss < result.ValidationLoss ? "ema" : "model");
    }

    /// <summary>The same model on the same codes for as many images, by single codes from the first step on.</summary>
    private TrainingResult TrainNextToken(CodeStore store)
    {
        _note("Next-token training, to compare with:");
        return Train(store, _folder.NextToken, "Next-token", _settings.Training with { PatchLevel = 1, PatchSides = null }).Result;
    }

    /// <summary>Both runs on one page, with samples of the same seeds.</summary>
    private string Compare()
    {
        RunHistory[] runs = [RunHistory.Read(_folder.Model), RunHistory.Read(_folder.NextToken)];
        var pictures = new ComparedSamples(
            ComparedPerClass, _settings.Seed, new ProgressLine<int>(done => Report("Comparing", done, runs.Length)), _note).Draw(runs, _cancellation);
        AtomicFile.WriteText(_folder.ComparisonHtml, ComparePage.Render(runs, pictures, ["Next Patch Prediction", "next-token"]));
        return _folder.ComparisonHtml;
    }

    private (TrainingResult Result, TrainingCost Cost) Train(CodeStore store, string output, string label, TrainingConfig training)
    {
        var config = new CheckpointConfig
        {
            Model = _settings.Model,
            Training = training,
            ClassNames = store.Manifest.ClassNames,
            TokenizerHash = store.Manifest.TokenizerHash,
            TokenizerPath = store.Manifest.TokenizerPath,
            ImageSide = store.Manifest.ImageSide,
        };
        var options = new GptRunOptions
        {
            Output = output,
            LogEvery = 20,
            ValidateEvery = _options.Compare ? Math.Max(1, (training.Steps ?? 0) / ComparedPoints) : 0,
            KeepLast = 1,
            Resume = true,
            OnProgress = p => Report(label, p.Step, p.TotalSteps, TrainingDisplay.Line(p)),
        };
        using var trainer = new GptTrainer(config, store, options);
        RunRecord.From(
            new GptTrainingRequest { Codes = _folder.Codes, Model = config.Model, Training = config.Training, Run = options }, config, store.Manifest)
            .Write(output, _note);
        foreach (var line in TrainingDisplay.Plan(_settings.Model, trainer.Cost))
        {
            _note(line);
        }

        var result = trainer.Run(_cancellation);
        _cancellation.ThrowIfCancellationRequested();
        foreach (var line in TrainingDisplay.Measured(trainer.Cost, result))
        {
            _note(line);
        }

        RunReport.Write(output);
        return (result, trainer.Cost);
    }

    private ImageDataset Sample(string checkpoint, string weights, ImageDataset train, int[] labels)
    {
        Report("Sampling", 0, labels.Length); // loading takes its time
        using var model = SampleModel.Load(checkpoint, _folder.Tokenizer, Enum.Parse<WeightsKind>(weights, ignoreCase: true));
        var request = new GenerationRequest { Labels = labels, Seed = _settings.Seed, Sampling = _settings.Sampling };
        new SampleWriter(model).Write(
            _folder.Root, _folder.Samples, request, new ProgressLine<int>(done => Report("Sampling", done, labels.Length)), _cancellation);
        var pixels = NpzFile.Read(_folder.SamplesNpz)["arr_0"].Bytes.ToArray();
        return new ImageDataset { Name = "samples", Side = train.Side, ClassNames = train.ClassNames, Pixels = pixels, Labels = labels };
    }

    private static Dictionary<string, double> AgreementByClass(IReadOnlyList<string> names, int[] labels, int[] judged)
        => Enumerable.Range(0, labels.Length).GroupBy(i => labels[i]).OrderBy(g => g.Key)
            .ToDictionary(g => names[g.Key], g => Math.Round(g.Average(i => judged[i] == g.Key ? 1.0 : 0.0), 3));
}

/// <summary>How far a part of a quickstart is.</summary>
/// <param name="Part">What runs: "Training".</param>
/// <param name="Done">Units done.</param>
/// <param name="Total">Units in all.</param>
/// <param name="Extra">What is known of it besides; null = nothing.</param>
internal sealed record QuickstartProgress(string Part, long Done, long Total, string? Extra = null);
