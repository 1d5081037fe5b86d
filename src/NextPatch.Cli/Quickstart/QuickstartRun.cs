using System.Diagnostics;
using System.Reflection;
using NextPatch.Cli.Diagnostics;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Reports;
using NextPatch.Cli.Training;
using NextPatch.Core.Configuration;
using NextPatch.Data.Codes;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;
using NextPatch.Models;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;
using NextPatch.Training;
using NextPatch.Training.Gpt;
using NextPatch.Training.Tokenizer;

namespace NextPatch.Cli.Quickstart;

/// <summary>What quickstarts share: a folder that is continued, parts that are timed, and training of the tokenizer and of transformers.</summary>
internal abstract class QuickstartRun
{
    private readonly IProgress<QuickstartProgress> _progress;
    private readonly Dictionary<string, double> _seconds = [];

    /// <param name="options">What a person chose.</param>
    /// <param name="progress">Told often.</param>
    /// <param name="note">Receives sentences for the person who waits.</param>
    /// <param name="cancellation">Reaches every loop.</param>
    protected QuickstartRun(QuickstartOptions options, IProgress<QuickstartProgress> progress, Action<string> note, CancellationToken cancellation)
    {
        (Options, _progress, Note, Cancellation) = (options, progress, note, cancellation);
        Folder = QuickstartFolder.Prepare(options);
        NativeBackend.EnsureLoaded();
    }

    protected static string Machine => Processor.Detect().Describe();

    protected static string Version
        => Assembly.GetExecutingAssembly().GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    protected QuickstartOptions Options { get; }

    protected QuickstartFolder Folder { get; }

    protected Action<string> Note { get; }

    protected CancellationToken Cancellation { get; }

    protected Stopwatch Watch { get; } = Stopwatch.StartNew();

    protected IReadOnlyDictionary<string, double> SecondsByPart => _seconds;

    protected T Timed<T>(string part, Func<T> action)
    {
        Cancellation.ThrowIfCancellationRequested();
        var start = Watch.Elapsed.TotalSeconds;
        var result = action();
        _seconds[part] = Math.Round(Watch.Elapsed.TotalSeconds - start, 2);
        return result;
    }

    protected void Report(string part, long done, long total, string? extra = null)
        => _progress.Report(new QuickstartProgress(part, done, total, extra));

    protected ProgressLine<int> Progress(string part, int total) => new(done => Report(part, done, total));

    /// <param name="config">How; its data are those of <paramref name="data"/>.</param>
    /// <param name="data">Images to learn from and to judge by.</param>
    /// <param name="prepare">Last changes of the settings, once the images are known.</param>
    protected VqTokenizer TrainTokenizer(
        TokenizerRunConfig config, DatasetSplit data, Func<TokenizerRunConfig, TokenizerImages, TokenizerRunConfig>? prepare = null)
    {
        using var images = TokenizerImages.From(DatasetParts.From(data), new TokenizerImageOptions
        {
            Side = config.Tokenizer.ImageSide, Seed = config.Seed, HasRandomCrops = config.HasRandomCrops, HasFlips = config.HasFlips,
        });
        config = config with { Data = images.Data };
        using (var run = new TokenizerRun(
            prepare?.Invoke(config, images) ?? config, images, new TokenizerRunOptions
            {
                Output = Folder.Tokenizer, KeepLast = 1, Resume = true,
                OnProgress = p => Report("Tokenizer", p.Step, p.Steps, $"PSNR {p.Psnr:F1} dB  {p.CodebookUsage ?? 0:P0} of codes used"),
            }))
        {
            run.Run(Cancellation);
        }

        Cancellation.ThrowIfCancellationRequested();
        return VqTokenizer.Load(Folder.Tokenizer);
    }

    /// <summary>What the codes of both kinds of quickstart say about themselves.</summary>
    protected CodeManifest Codes(VqTokenizer tokenizer, DatasetSplit data) => new()
    {
        Name = data.Train.Name,
        GridSide = tokenizer.Config.GridSide,
        VocabularySize = tokenizer.Config.CodebookSize,
        ClassNames = data.Train.ClassNames,
        TokenizerHash = WeightsHash.ComputeForTokenizer(Folder.Tokenizer),
        TokenizerPath = Path.GetFullPath(Folder.Tokenizer),
        ImageSide = data.Train.Side,
        Count = data.Train.Count + data.HeldOut.Count,
        HeldOutCount = data.HeldOut.Count,
    };

    /// <summary>Trains a transformer in the folder <paramref name="output"/>, or continues it.</summary>
    /// <param name="label">What progress is called.</param>
    /// <param name="output">Folder of the run.</param>
    /// <param name="store">Codes.</param>
    /// <param name="model">Fits the codes.</param>
    /// <param name="training">How.</param>
    /// <param name="validateEvery">Steps; 0 = at the end alone.</param>
    /// <param name="captions">Captions of a text model.</param>
    protected (TrainingResult Result, TrainingCost Cost) Train(
        string label, string output, CodeStore store, GptConfig model, TrainingConfig training, long validateEvery, TrainingCaptions? captions = null)
    {
        var config = new CheckpointConfig
        {
            Model = model,
            Training = training,
            ClassNames = captions is null ? store.Manifest.ClassNames : [],
            TextFeatures = captions?.Origins,
            TokenizerHash = store.Manifest.TokenizerHash,
            TokenizerPath = store.Manifest.TokenizerPath,
            ImageSide = store.Manifest.ImageSide,
        };
        var options = new GptRunOptions
        {
            Output = output, LogEvery = 20, ValidateEvery = validateEvery, KeepLast = 1, Resume = true,
            OnProgress = p => Report(label, p.Step, p.TotalSteps, TrainingDisplay.Line(p)),
        };
        using var trainer = new GptTrainer(config, store, options, captions: captions);
        RunRecord.From(
            new GptTrainingRequest
            {
                Codes = Folder.Codes, Model = model, Training = training, Run = options,
                TextFeatures = captions is null ? [] : [new TextFeatureSet(Folder.Features)],
            }, config, store.Manifest).Write(output, Note);
        foreach (var line in TrainingDisplay.Plan(model, trainer.Cost))
        {
            Note(line);
        }

        var result = trainer.Run(Cancellation);
        Cancellation.ThrowIfCancellationRequested();
        foreach (var line in TrainingDisplay.Measured(trainer.Cost, result))
        {
            Note(line);
        }

        RunReport.Write(output);
        return (result, trainer.Cost);
    }
}

/// <summary>How far a part of a quickstart is.</summary>
/// <param name="Part">What runs: "Training".</param>
/// <param name="Done">Units done.</param>
/// <param name="Total">Units in all.</param>
/// <param name="Extra">What is known of it besides; null = nothing.</param>
internal sealed record QuickstartProgress(string Part, long Done, long Total, string? Extra = null);
