using System.Text.Json;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using NextPatch.Training.Optimization;
using NextPatch.Training.Runs;

namespace NextPatch.Training.Gpt;

/// <summary>
/// The files of a transformer's checkpoint: <c>config.json</c>, <c>model.safetensors</c>, <c>ema.safetensors</c>,
/// <c>optimizer.safetensors</c>, <c>state.json</c>.
/// </summary>
internal static class GptCheckpoint
{
    public static void Write(string folder, CheckpointConfig config, RunState state, GptModel model, AdamW optimizer)
    {
        File.WriteAllText(Path.Combine(folder, "config.json"), JsonSerializer.Serialize(config, ConfigJson.Default.CheckpointConfig));
        SafetensorsFile.Write(Path.Combine(folder, "model.safetensors"), StateLoader.Capture(model));
        if (optimizer.HasAverage)
        {
            // What is not trained has no average, but belongs to the weights: unconditional features.
            var frozen = model.named_buffers().Select(b => KeyValuePair.Create(b.name, StoredTensor.From(StateLoader.ToHost(b.buffer))));
            SafetensorsFile.Write(Path.Combine(folder, "ema.safetensors"), [.. optimizer.Average(), .. frozen]);
        }

        SafetensorsFile.Write(Path.Combine(folder, "optimizer.safetensors"), optimizer.Moments());
        File.WriteAllText(Path.Combine(folder, "state.json"), JsonSerializer.Serialize(state, ConfigJson.Default.RunState));
    }

    /// <summary>Refuses a checkpoint of a run with other settings.</summary>
    /// <param name="folder">The checkpoint's.</param>
    /// <param name="config">The run's; it may be a longer one whose first steps these were.</param>
    /// <param name="images">Images of the training part.</param>
    public static void RequireSame(string folder, CheckpointConfig config, long images)
    {
        var type = ConfigJson.Default.CheckpointConfig;
        var stored = ConfigJson.Read(Path.Combine(folder, "config.json"), type);

        if (config.Training is { Stages: not null, Steps: { } steps } && stored.Training is { } shorter
            && steps > shorter.CreateSchedule(images).TotalSteps)
        {
            stored = stored with { Training = shorter.LengthenedTo(steps, images) };
        }

        // Where the tokenizer lies computes nothing, and codes may not say whose they are.
        ResumePoint.RequireSame(
            stored, config with { TokenizerPath = stored.TokenizerPath, TokenizerHash = config.TokenizerHash ?? stored.TokenizerHash }, type, folder);
    }

    /// <summary>Loads a checkpoint into a model and its optimiser.</summary>
    /// <returns>Where the run stood.</returns>
    public static RunState Load(string folder, GptModel model, AdamW optimizer)
    {
        var state = ConfigJson.Read(Path.Combine(folder, "state.json"), ConfigJson.Default.RunState);
        var weights = Path.Combine(folder, "model.safetensors");
        StateLoader.Load(model, SafetensorsFile.Read(weights), weights);
        var moments = Path.Combine(folder, "optimizer.safetensors");
        optimizer.Restore(
            SafetensorsFile.Read(moments), optimizer.HasAverage ? SafetensorsFile.Read(Path.Combine(folder, "ema.safetensors")) : null,
            state.Step - state.SkippedSteps, moments, state.StepsBeforeMoments);
        return state;
    }
}
