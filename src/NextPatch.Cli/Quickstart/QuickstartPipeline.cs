using NextPatch.Cli.Rendering;
using NextPatch.Cli.Reports;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;
using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;
using NextPatch.Data.Codes;
using NextPatch.Data.Sources;
using NextPatch.Evaluation.Metrics;
using NextPatch.Evaluation.Networks;
using NextPatch.Sampling;
using NextPatch.Torch.Tokenizer;
using NextPatch.Training;
using NextPatch.Training.Gpt;
using NextPatch.Training.Tokenizer;

namespace NextPatch.Cli.Quickstart;

/// <summary>The main job: dataset, tokenizer, codes, coarse-to-fine training, samples, measurements, report.</summary>
internal sealed class QuickstartPipeline : QuickstartRun
{
    private const int ComparedPerClass = 6;
    private const int ComparedPoints = 8;

    private QuickstartSettings _settings;
    private QuickstartState? _state;

    /// <inheritdoc cref="QuickstartRun(QuickstartOptions, IProgress{QuickstartProgress}, Action{string}, CancellationToken)"/>
    public QuickstartPipeline(QuickstartOptions options, IProgress<QuickstartProgress> progress, Action<string> note, CancellationToken cancellation)
        : base(options, progress, note, cancellation)
        => _settings = Folder.Earlier?.Settings ?? QuickstartSettings.Create(options);

    /// <summary>Runs everything and writes the report.</summary>
    public QuickstartResult Run()
    {
        var data = Timed("dataset", () => QuickstartData.Read(
            _settings, new ProgressLine<ReadProgress>(p => Report("Reading images", p.Done, p.Total)), Note, Cancellation));
        Note($"Dataset '{data.Train.Name}': {data.Train.Count:N0} training and {data.HeldOut.Count:N0} held-out images of "
            + $"{data.Train.Side}x{data.Train.Side}, {data.Train.ClassNames.Count} classes.");
        FitToData(data.Train);
        if (Folder.Earlier is { } earlier)
        {
            Note($"Continues the quickstart that was stopped in {Folder.Root}.");
            data = new DatasetSplit(TimeBudget.Part(data.Train, earlier.TrainImages), TimeBudget.Part(data.HeldOut, earlier.HeldOutImages));
        }
        else if (_settings.Minutes is { } minutes)
        {
            (data, var judge) = TimeBudget.Fit(_settings, data, minutes, Watch.Elapsed.TotalSeconds, Note, Cancellation);
            _settings = _settings with { Classifier = judge };
        }

        var accuracy = 0.0;
        using var classifier = Timed("classifier", () => TrainClassifier(data, out accuracy));
        Note($"Judge: a small classifier, {accuracy:P2} right on held-out real images.");
        using var tokenizer = Timed("tokenizer", () => TrainTokenizer(
            _settings.TokenizerTraining, data, (config, images) => FitTokenizer(config, images, data)));
        var heldOutReconstructions = Array.Empty<byte>();
        var trainReconstructions = Array.Empty<byte>();
        using var store = Timed("codes", () => Encode(tokenizer, data, out heldOutReconstructions, out trainReconstructions));
        var (training, cost, weights) = Timed("training", () => Train(store));
        if (Options.Compare)
        {
            Timed("next-token training", () => TrainNextToken(store));
        }

        var labels = Enumerable.Range(0, _settings.SampleCount).Select(i => i % data.Train.ClassNames.Count).ToArray();
        var samples = Timed("sampling", () => Sample(training.Checkpoint!, weights, data.Train, labels));
        var metrics = Timed(
            "metrics", () => SampleMetrics.Compute(classifier, samples, data.HeldOut, heldOutReconstructions, trainReconstructions, Cancellation));
        var judged = classifier.Classify(samples.Pixels, Cancellation).Labels;

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
            SecondsByPart = SecondsByPart,
            Machine = Machine,
            Version = Version,
            Settings = _settings,
        };
        if (Options.Compare)
        {
            Timed("comparison", Compare);
        }

        return QuickstartReport.Write(Folder, result, Watch, new ReportPictures(data, heldOutReconstructions, samples, judged));
    }

    private void FitToData(ImageDataset train)
        => _settings = _settings with { Model = (_settings.Model with { ClassCount = train.ClassNames.Count }).Validated() };

    private SmallClassifier TrainClassifier(DatasetSplit data, out double accuracy)
    {
        var steps = new ProgressLine<ClassifierProgress>(p => Report(
            "Classifier", p.Steps, p.MaximumSteps, p.HeldOutAccuracy is { } share ? $"held-out accuracy {share:P2}" : $"loss {p.Loss:F3}"));
        return ClassifierTrainer.Train(data, _settings.Classifier, out accuracy, steps, Cancellation);
    }

    private TokenizerRunConfig FitTokenizer(TokenizerRunConfig config, TokenizerImages images, DatasetSplit data)
    {
        if (_settings.Minutes is { } minutes && Folder.Earlier is null)
        {
            var budget = TimeBudget.ForTokenizer((minutes * 60) - Watch.Elapsed.TotalSeconds);
            config = TimeBudget.Fit(config, images, Folder.Scratch, budget, Cancellation);
        }

        _settings = _settings with { TokenizerTraining = config };
        _state = Folder.Earlier ?? new QuickstartState(Options, _settings, data.Train.Count, data.HeldOut.Count, HasTraining: false);
        Folder.Save(_state);
        return config;
    }

    private CodeStore Encode(VqTokenizer tokenizer, DatasetSplit data, out byte[] heldOutReconstructions, out byte[] trainReconstructions)
    {
        Report("Encoding", 0, 2);
        var train = tokenizer.EncodePixels(data.Train.Pixels, Cancellation);
        var heldOut = tokenizer.EncodePixels(data.HeldOut.Pixels, Cancellation);
        CodeStore.Write(Folder.Codes, Codes(tokenizer, data), [.. train, .. heldOut], [.. data.Train.Labels, .. data.HeldOut.Labels]);
        Report("Encoding", 1, 2);
        heldOutReconstructions = tokenizer.DecodePixels(heldOut, Cancellation);
        trainReconstructions = tokenizer.DecodePixels(train, Cancellation);
        Report("Encoding", 2, 2);
        return CodeStore.Open(Folder.Codes);
    }

    private (TrainingResult Result, TrainingCost Cost, string Weights) Train(CodeStore store)
    {
        if (_settings.Minutes is { } minutes && !_state!.HasTraining)
        {
            var budget = TimeBudget.ForTraining((minutes * 60) - Watch.Elapsed.TotalSeconds, SecondsByPart, Options.Compare);
            _settings = _settings with
            {
                Training = TimeBudget.Fit(_settings.Training, _settings.Model, store, Folder.Scratch, budget, Cancellation),
            };
        }

        Folder.Save(_state! with { Settings = _settings, HasTraining = true });
        var (result, cost) = Train(store, Folder.Model, "Training", _settings.Training);
        return (result, cost, result.AverageValidationLoss < result.ValidationLoss ? "ema" : "model");
    }

    /// <summary>The same model on the same codes for as many images, by single codes from the first step on.</summary>
    private TrainingResult TrainNextToken(CodeStore store)
    {
        Note("Next-token training, to compare with:");
        return Train(store, Folder.NextToken, "Next-token", _settings.Training with { PatchLevel = 1, PatchSides = null }).Result;
    }

    /// <summary>Both runs on one page, with samples of the same seeds.</summary>
    private string Compare()
    {
        RunHistory[] runs = [RunHistory.Read(Folder.Model), RunHistory.Read(Folder.NextToken)];
        var pictures = new ComparedSamples(
            ComparedPerClass, _settings.Seed, Progress("Comparing", runs.Length), Note).Draw(runs, Cancellation);
        AtomicFile.WriteText(Folder.ComparisonHtml, ComparePage.Render(runs, pictures, ["Next Patch Prediction", "next-token"]));
        return Folder.ComparisonHtml;
    }

    private (TrainingResult Result, TrainingCost Cost) Train(CodeStore store, string output, string label, TrainingConfig training)
        => Train(label, output, store, _settings.Model, training, Options.Compare ? Math.Max(1, (training.Steps ?? 0) / ComparedPoints) : 0);

    private ImageDataset Sample(string checkpoint, string weights, ImageDataset train, int[] labels)
    {
        Report("Sampling", 0, labels.Length); // loading takes its time
        using var model = SampleModel.Load(checkpoint, Folder.Tokenizer, Enum.Parse<WeightsKind>(weights, ignoreCase: true));
        var request = new GenerationRequest { Labels = labels, Seed = _settings.Seed, Sampling = _settings.Sampling };
        new SampleWriter(model).Write(
            Folder.Root, Folder.Samples, request, Progress("Sampling", labels.Length), Cancellation);
        var pixels = NpzFile.Read(Folder.SamplesNpz)["arr_0"].Bytes.ToArray();
        return new ImageDataset { Name = "samples", Side = train.Side, ClassNames = train.ClassNames, Pixels = pixels, Labels = labels };
    }

    private static Dictionary<string, double> AgreementByClass(IReadOnlyList<string> names, int[] labels, int[] judged)
        => Enumerable.Range(0, labels.Length).GroupBy(i => labels[i]).OrderBy(g => g.Key)
            .ToDictionary(g => names[g.Key], g => Math.Round(g.Average(i => judged[i] == g.Key ? 1.0 : 0.0), 3));
}
