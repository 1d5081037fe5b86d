using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Data.Codes;
using NextPatch.Models;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using NextPatch.Training.Gpt;
using NextPatch.Training.Ranks;

namespace NextPatch.Training;

/// <summary>
/// Trains a transformer on codes, coarse to fine.
/// <code>
/// var result = GptTraining.Run(new()
/// {
///     Codes = "codes", Model = GptPresets.Get("small"), Run = new() { Output = "run", Resume = true },
///     Training = TrainingRecipes.Get("cpu", GptPresets.Get("small")).Training with { Steps = 2400 },
/// });
/// </code>
/// </summary>
/// <remarks>Steps are computed on the calling thread and the workers of libtorch; one run at a time uses a machine best.</remarks>
public static class GptTraining
{
    /// <summary>Trains to the end or until cancelled; either way the last thing it does is to write a checkpoint.</summary>
    /// <param name="request">What is trained, on what, and where it goes.</param>
    /// <param name="progress">Receives every line of metrics.</param>
    /// <param name="cancellation">Finishes the step, writes a checkpoint and returns; a run with <c>Resume</c> continues with the same bytes.</param>
    /// <exception cref="ConfigException">Settings cannot work, do not fit the codes, or differ from those of the run to resume.</exception>
    /// <exception cref="NextPatchException">
    /// Codes, weights or tokenizer are missing or damaged, the folder cannot be written, another run holds it, or training diverged.
    /// </exception>
    public static TrainingResult Run(
        GptTrainingRequest request, IProgress<TrainingProgress>? progress = null, CancellationToken cancellation = default)
    {
        NativeBackend.EnsureLoaded();
        RunRecord.RequireCodes(request);
        if (request.Tokenizer is { } named && !Path.Exists(named))
        {
            throw NoTokenizer(named);
        }

        using var store = CodeStore.Open(request.Codes);
        store.CheckVocabulary(cancellation);
        using var captions = request.TextFeatures.Count == 0 ? null
            : TrainingCaptions.Open(store, request.TextFeatures, request.Model.Text?.TokenCount);
        if (captions?.LeftOut.Count > 0)
        {
            request.Run.OnNote?.Invoke(
                $"{captions.LeftOut.Values.Sum():N0} of {store.Count:N0} images are left out: {TrainingCaptions.Describe(captions.LeftOut)}.");
        }

        var config = new CheckpointConfig
        {
            Model = Fit(request.FitsToCodes ? Fit(request.Model, store.Manifest) : request.Model, captions),
            Training = request.Training,
            ClassNames = captions is null ? store.Manifest.ClassNames : [],
            TextFeatures = captions?.Origins,
            TokenizerHash = store.Manifest.TokenizerHash ?? (request.Tokenizer is { } given ? WeightsHash.ComputeForTokenizer(given) : null),
            TokenizerPath = RecordedPath(request, store.Manifest),
            ImageSide = store.Manifest.ImageSide == 0 ? null : store.Manifest.ImageSide,
        };
        var before = request.Run.Resume && request.Run.Ranks.Rank == 0 ? RunRecord.Read(request.Run.Output) : null;
        before?.RequireSame(request.Codes, store.Manifest);
        var asBf16 = request.Run.Ranks.Broadcast(
            before?.GradientsFor(request.Run.Bf16Gradients) ?? request.Run.Bf16Gradients ?? false, "how gradients travel", isPatient: true);
        var run = request.Run with { Bf16Gradients = asBf16 };
        request = request with { Run = run };

        using var tokenizer = run.SampleEvery > 0 && run.OnSample is null && run.Ranks.Rank == 0 ? OpenTokenizer(request) : null;
        var grids = tokenizer is null ? null : new SampleGrids(tokenizer, config, run.Output, captions?.Prompts(SampleGrids.MaxRows));
        using var trainer = new GptTrainer(
            config,
            store,
            run with
            {
                DrawGrid = grids is null ? null : grids.Write,
                OnProgress = run.OnProgress + (progress is null ? null : new Action<TrainingProgress>(progress.Report)),
            },
            request.InitialWeights is null || run.Ranks.Rank > 0 ? null : model => Fill(model, request),
            captions);
        if (run.Ranks.Rank == 0)
        {
            RunRecord.From(request, trainer.Config, store.Manifest).Write(run.Output, run.OnNote);
        }

        request.OnPlanned?.Invoke(trainer.Cost);
        return trainer.Run(cancellation);
    }

    /// <summary>
    /// The request that continues a run with the settings that it holds, from where its folder and its codes lie; change what surrounds it, such as
    /// intervals, with <c>with</c>.
    /// <code>GptTraining.Run(GptTraining.Continue("run"));</code>
    /// </summary>
    /// <param name="run">The run's folder.</param>
    /// <exception cref="NextPatchException">
    /// There is no run, or its codes are not where they were. One that was not begun by <see cref="Run"/> does not say where they are: set
    /// <see cref="GptTrainingRequest.Codes"/>, which is empty then.
    /// </exception>
    public static GptTrainingRequest Continue(string run) => RunRecord.Request(run);

    /// <summary>A model for such codes.</summary>
    internal static GptConfig Fit(GptConfig model, CodeManifest codes)
        => model with { GridSide = codes.GridSide, VocabularySize = codes.VocabularySize, ClassCount = codes.ClassNames.Count };

    /// <summary>A model for such captions; the same where there are none.</summary>
    internal static GptConfig Fit(GptConfig model, TrainingCaptions? captions)
        => captions is null
            ? model
            : model with { ClassCount = 1, Text = new TextCondition { FeatureWidth = captions.Width, TokenCount = captions.TokenCount } };

    /// <summary>Where the tokenizer of codes lies.</summary>
    /// <param name="chosen">What a person says; null: where the codes say it lies, or beside them.</param>
    /// <param name="codes">Their folder.</param>
    /// <exception cref="ConfigException">There is none.</exception>
    /// <exception cref="NextPatchException">It is not where it was recorded, or another one.</exception>
    internal static string FindTokenizer(string? chosen, string codes)
    {
        var found = CodeTokenizer.Find(codes, chosen);
        if (found is null || !Path.Exists(found))
        {
            throw NoTokenizer(found ?? CodeTokenizer.PlaceBeside(codes));
        }

        CodeTokenizer.RequireSame(codes, found);
        return found;
    }

    private static ConfigException NoTokenizer(string place) => new(
        $"SampleEvery and EvaluateEvery need the tokenizer of the codes, and {place} does not exist. Name it with Tokenizer, or leave them out.")
    {
        Settings = ["SampleEvery", "EvaluateEvery", "Tokenizer"],
    };

    /// <summary>Where the tokenizer lies now, so that the run finds it without being told; null where that is not known.</summary>
    private static string? RecordedPath(GptTrainingRequest request, CodeManifest codes)
    {
        if (request.Tokenizer is { } named)
        {
            CodeTokenizer.From(request.Codes, codes).RequireSame(named);
            return Path.GetFullPath(named);
        }

        var beside = CodeTokenizer.PlaceBeside(request.Codes);
        return codes.TokenizerPath ?? (codes.TokenizerHash is { } hash && File.Exists(Path.Combine(beside, "model.safetensors"))
            && WeightsHash.ComputeForTokenizer(beside) == hash ? beside : null);
    }

    private static void Fill(GptModel model, GptTrainingRequest request)
    {
        var note = InitialWeights.Load(request.InitialWeights!, model, request.Training.Seed);
        request.Run.OnNote?.Invoke(note);
    }

    private static IImageTokenizer OpenTokenizer(GptTrainingRequest request)
        => TokenizerSource.Open(ComputeBackends.Find(null), FindTokenizer(request.Tokenizer, request.Codes));
}
