using System.Text.Json;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;
using NextPatch.Training.Runs;
using static TorchSharp.torch;

namespace NextPatch.Training.Tokenizer;

/// <summary>
/// The files of a tokenizer's checkpoint: what a tokenizer's folder holds (<c>config.json</c>, <c>model.safetensors</c>),
/// <c>ema.safetensors</c>, <c>optimizer.safetensors</c> with the counts of the codebook, <c>training.json</c>, <c>state.json</c>, and of a
/// discriminator its weights and moments.
/// </summary>
internal sealed class TokenizerCheckpoint(VqTokenizer tokenizer, nn.Module<Tensor, Tensor>? discriminator, TokenizerStep step, DeadCodeRevival upkeep)
{
    private const string Training = "training.json";
    private const string State = "state.json";
    private const string Model = "model.safetensors";
    private const string Average = "ema.safetensors";
    private const string Moments = "optimizer.safetensors";
    private const string Discriminator = "discriminator.safetensors";
    private const string DiscriminatorMoments = "discriminator-optimizer.safetensors";

    /// <summary>Settings of the run that wrote a checkpoint.</summary>
    public static TokenizerRunConfig ReadConfig(string folder)
        => ConfigJson.Read(Path.Combine(folder, Training), TokenizerRunJson.Default.TokenizerRunConfig);

    /// <summary>Refuses a checkpoint of a run with other settings.</summary>
    public static void RequireSame(string folder, TokenizerRunConfig config)
        => ResumePoint.RequireSame(ReadConfig(folder), config, TokenizerRunJson.Default.TokenizerRunConfig, folder);

    public void Write(string folder, TokenizerRunConfig config, TokenizerRunState state)
    {
        tokenizer.SaveTo(folder);
        if (step.Optimizer.HasAverage)
        {
            SafetensorsFile.Write(Path.Combine(folder, Average), step.Optimizer.CaptureAverage());
        }

        SafetensorsFile.Write(Path.Combine(folder, Moments), step.Optimizer.CaptureMoments().Concat(upkeep.Capture()));
        if (discriminator is not null)
        {
            SafetensorsFile.Write(Path.Combine(folder, Discriminator), StateLoader.Capture(discriminator));
            SafetensorsFile.Write(Path.Combine(folder, DiscriminatorMoments), step.DiscriminatorOptimizer!.CaptureMoments());
        }

        File.WriteAllText(Path.Combine(folder, Training), JsonSerializer.Serialize(config, TokenizerRunJson.Default.TokenizerRunConfig));
        File.WriteAllText(Path.Combine(folder, State), JsonSerializer.Serialize(state, TokenizerRunJson.Default.TokenizerRunState));
    }

    /// <returns>Where the run stood.</returns>
    public TokenizerRunState Load(string folder)
    {
        var state = ConfigJson.Read(Path.Combine(folder, State), TokenizerRunJson.Default.TokenizerRunState);
        Load(tokenizer, Path.Combine(folder, Model));
        var moments = SafetensorsFile.Read(Path.Combine(folder, Moments));
        step.Optimizer.Restore(
            moments, step.Optimizer.HasAverage ? SafetensorsFile.Read(Path.Combine(folder, Average)) : null, state.Step - state.SkippedSteps,
            Path.Combine(folder, Moments));
        upkeep.Restore(moments);
        if (discriminator is not null)
        {
            Load(discriminator, Path.Combine(folder, Discriminator));
            var file = Path.Combine(folder, DiscriminatorMoments);
            step.DiscriminatorOptimizer!.Restore(SafetensorsFile.Read(file), null, state.DiscriminatorSteps, file);
        }

        return state;
    }

    /// <summary>Leaves a tokenizer in a run's folder, as whole files under their names whatever happens meanwhile.</summary>
    public static void Export(string run, VqTokenizer tokenizer)
    {
        var folder = Path.Combine(run, ".writing-tokenizer");
        tokenizer.SaveTo(folder);
        foreach (var file in Directory.GetFiles(folder))
        {
            AtomicFile.Flush(file);
            File.Move(file, Path.Combine(run, Path.GetFileName(file)), overwrite: true);
        }

        Directory.Delete(folder);
    }

    private static void Load(nn.Module module, string file) => StateLoader.Load(module, SafetensorsFile.Read(file), file);
}
