using System.CommandLine;
using NextPatch.Cli.Evaluation;
using NextPatch.Cli.Rendering;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;
using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;
using NextPatch.Core.Sampling;
using NextPatch.Data.Codes;
using NextPatch.Models;
using NextPatch.Sampling;
using NextPatch.Torch.Generation;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using NextPatch.Training.Gpt;

namespace NextPatch.Cli.Training;

/// <summary>One <c>train</c> command: codes, settings, trainer, what is shown.</summary>
internal sealed class TrainingJob
{
    private const int SamplesPerClass = 8;
    private const int MaxSampleRows = 16;

    private readonly TrainOptions _options;
    private readonly ParseResult _parsed;
    private readonly ProgressReporter _progress;

    public TrainingJob(TrainOptions options, ParseResult parsed, ProgressReporter progress) => (_options, _parsed, _progress) = (options, parsed, progress);

    /// <returns>False when it was stopped before its last step.</returns>
    public bool Run(CancellationToken cancellation)
    {
        NativeBackend.EnsureLoaded();
        var folder = _parsed.GetRequiredValue(_options.Codes);
        using var store = CodeStore.Open(folder);
        store.CheckVocabulary(cancellation);
        var (model, training) = _options.Resolve(_parsed, m => m with
        {
            GridSide = store.Manifest.GridSide, VocabularySize = store.Manifest.VocabularySize, ClassCount = store.Manifest.ClassNames.Count,
        });
        training = training with { StepImplementation = Step(training) };
        training = training with { Precision = Precision(model, training.StepImplementation) };
        var config = new CheckpointConfig
        {
            Model = model, Training = training, ClassNames = store.Manifest.ClassNames, TokenizerHash = store.Manifest.TokenizerHash,
            ImageSide = store.Manifest.ImageSide == 0 ? null : store.Manifest.ImageSide,
        };
        using var tokenizer = OpenTokenizer(folder);
        var initFrom = _parsed.GetValue(_options.InitFrom);
        using var evaluation = _parsed.GetRequiredValue(_options.EvaluateEvery) == 0
            ? null
            : TrainingEvaluation.Open(_options.Measure, _parsed, _parsed.GetRequiredValue(_options.EvaluateCount), config, tokenizer!, _progress, cancellation);
        using var trainer = new GptTrainer(config, store, GptRunOptions(tokenizer, config) with { Metric = evaluation?.Metric, MeasureEvery = _parsed.GetRequiredValue(_options.EvaluateEvery) },
            initFrom is null ? null : m => _progress.WriteLine(InitialWeights.Load(initFrom, m, training.Seed)));
        foreach (var line in TrainingDisplay.Plan(model, trainer.Cost))
        {
            _progress.WriteLine(line);
        }

        var result = trainer.Run(cancellation);
        _progress.Dispose();
        foreach (var line in TrainingDisplay.Measured(trainer.Cost, result))
        {
            _progress.WriteLine(line);
        }

        _progress.WriteLine(result.IsComplete
            ? $"Finished after {result.Step:N0} steps. Checkpoint: {result.Checkpoint}"
            : $"Stopped after step {result.Step:N0}. Continue with the same command and --resume. Checkpoint: {result.Checkpoint ?? "none yet"}");
        return result.IsComplete;
    }

    private GptRunOptions GptRunOptions(IImageTokenizer? tokenizer, CheckpointConfig config) => _options.Frame.Fill(_parsed, new GptRunOptions
    {
        Output = _parsed.GetRequiredValue(_options.Frame.Output),
        Recompute = _parsed.GetValue(_options.Recompute),
        ValidationImages = _parsed.GetRequiredValue(_options.ValidateImages),
        SampleEvery = tokenizer is null ? 0 : _parsed.GetRequiredValue(_options.SampleEvery),
        OnSample = tokenizer is null ? null : (step, model) => WriteSamples(step, model, tokenizer, config),
        OnProgress = p => _progress.Report("Training", p.Step, p.TotalSteps, TrainingDisplay.Line(p)),
        OnNote = _progress.WriteLine,
    });

    private StepImplementation Step(TrainingConfig training) => StepChoice.Choose(
        _parsed.GetRequiredValue(_options.Step), training.Grouping,
        _parsed.GetValue(_options.Frame.Resume)
            ? PrecisionChoice.OfRun(_parsed.GetRequiredValue(_options.Frame.Output), c => Stored(c)?.StepImplementation)
            : null,
        _progress);

    private ComputePrecision Precision(GptConfig model, StepImplementation step) => PrecisionChoice.ForRun(
        _parsed, _options.Precision, _options.Frame, checkpoint => Stored(checkpoint)?.Precision,
        asked => PrecisionChoice.Choose(step == StepImplementation.Reference && asked == PrecisionChoice.Auto ? "fp32" : asked, model), _progress);

    private static TrainingConfig? Stored(string checkpoint)
        => ConfigJson.Read(Path.Combine(checkpoint, "config.json"), ConfigJson.Default.CheckpointConfig).Training;

    private IImageTokenizer? OpenTokenizer(string codes)
    {
        if (_parsed.GetRequiredValue(_options.SampleEvery) == 0 && _parsed.GetRequiredValue(_options.EvaluateEvery) == 0)
        {
            return null;
        }

        var folder = _parsed.GetValue(_options.Tokenizer) ?? Path.Combine(Path.GetDirectoryName(Path.GetFullPath(codes))!, "tokenizer");
        return Directory.Exists(folder)
            ? TokenizerSource.Open(ComputeBackends.Find(null), folder)
            : throw new ConfigException($"--sample-every and --evaluate-every need the tokenizer of the codes, and {folder} does not exist. Name it with --tokenizer, or leave them out.");
    }

    private void WriteSamples(long step, GptModel model, IImageTokenizer tokenizer, CheckpointConfig config)
    {
        var rows = Math.Min(config.Model.ClassCount, MaxSampleRows);
        var labels = Enumerable.Range(0, rows * SamplesPerClass).Select(i => i / SamplesPerClass).ToArray();
        using var engine = new TorchGenerationEngine(model, ownsModel: false);
        var codes = engine.Generate(new GenerationRequest
        {
            Labels = labels, Seed = config.Training!.Seed, Sampling = new SamplingConfig { GuidanceScale = config.Model.HasNullClass ? 2 : 1 },
        });
        var pixels = tokenizer.Decode(codes);
        var sheet = new SampleSheet(config.ClassNames);
        var side = tokenizer.Config.ImageSide;
        for (var i = 0; i < labels.Length; i++)
        {
            sheet.Add(labels[i], new RgbImage(side, side, pixels.AsSpan(i * side * side * 3, side * side * 3).ToArray()));
        }

        var folder = Path.Combine(_parsed.GetRequiredValue(_options.Frame.Output), "samples");
        Directory.CreateDirectory(folder);
        var picture = PngWriter.Encode(sheet.Compose());
        AtomicFile.Write(Path.Combine(folder, $"step-{step:D8}.png"), stream => stream.Write(picture), Path.Combine(folder, ".writing.png"));
    }
}
