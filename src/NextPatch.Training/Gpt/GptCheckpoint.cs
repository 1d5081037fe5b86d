using System.Text.Json;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using NextPatch.Training.Optimization;
using NextPatch.Training.Ranks;
using NextPatch.Training.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace NextPatch.Training.Gpt;

/// <summary>
/// The files of a transformer's checkpoint: <c>config.json</c>, <c>model.safetensors</c>, <c>ema.safetensors</c>,
/// <c>optimizer.safetensors</c>, <c>state.json</c>.
/// </summary>
internal static class GptCheckpoint
{
    public static void Write(string folder, CheckpointConfig config, RunState state, GptModel model, GptStep step)
    {
        File.WriteAllText(Path.Combine(folder, "config.json"), JsonSerializer.Serialize(config, ConfigJson.Default.CheckpointConfig));
        SafetensorsFile.Write(Path.Combine(folder, "model.safetensors"), StateLoader.Capture(model));
        if (step.Optimizer.HasAverage)
        {
            // What is not trained has no average, but belongs to the weights: unconditional features.
            var frozen = model.named_buffers().Select(b => KeyValuePair.Create(b.name, StoredTensor.From(StateLoader.ToHost(b.buffer))));
            SafetensorsFile.Write(Path.Combine(folder, "ema.safetensors"), [.. step.Average(), .. frozen]);
        }

        SafetensorsFile.Write(Path.Combine(folder, "optimizer.safetensors"), step.Moments());
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
    /// <param name="folder">The checkpoint's on rank 0, which reads it for all; null for a fresh run.</param>
    /// <param name="model">Filled.</param>
    /// <param name="optimizer">Filled with what this rank keeps.</param>
    /// <param name="ranks">Who computes the run.</param>
    /// <returns>Where the run stood; null for a fresh one.</returns>
    public static RunState? Load(string? folder, GptModel model, IOptimizer optimizer, ICommunicator ranks)
    {
        string Named(string name) => Path.Combine(folder ?? "", name + ".safetensors");
        var stored = folder is null ? null : File.ReadAllBytes(Path.Combine(folder, "state.json"));
        if (ranks.BroadcastBytes(stored, "where the run stood") is not { } json)
        {
            return null;
        }

        var state = folder is null
            ? JsonSerializer.Deserialize(json, ConfigJson.Default.RunState)!
            : ConfigJson.Read(Path.Combine(folder, "state.json"), ConfigJson.Default.RunState);
        if (folder is not null)
        {
            StateLoader.Load(model, SafetensorsFile.Read(Named("model")), Named("model"));
        }

        Spread(ranks, model);
        var shapes = model.named_parameters().ToDictionary(p => p.name, p => p.parameter.shape);
        Func<string, HostTensor?> From(string file)
        {
            var tensors = folder is null ? null : SafetensorsFile.Read(Named(file));
            return key => Spread(ranks, tensors?.GetValueOrDefault(key), shapes[shapes.ContainsKey(key) ? key : key[(key.IndexOf('.') + 1)..]]);
        }

        optimizer.Restore(
            From("optimizer"), optimizer.HasAverage ? From("ema") : null, state.Step - state.SkippedSteps, Named("optimizer"),
            state.StepsBeforeMoments);
        return state;
    }

    /// <summary>Gives all ranks the weights of rank 0.</summary>
    public static void Spread(ICommunicator ranks, GptModel model)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        foreach (var (_, parameter) in ranks.Size == 1 ? [] : model.named_parameters())
        {
            using var here = parameter.cpu(); // the same memory where it lies here
            ranks.Broadcast(here.bytes, "the weights to begin with", isPatient: true);
            if (parameter.device_type != DeviceType.CPU)
            {
                parameter.copy_(here);
            }
        }
    }

    /// <summary>A tensor of rank 0 on all ranks; what does not fit is refused there.</summary>
    private static HostTensor? Spread(ICommunicator ranks, HostTensor? tensor, long[] shape)
    {
        if (ranks.Size == 1 || (ranks.Rank == 0 && (tensor is null || tensor.Type != ElementType.Float32 || !tensor.Shape.SequenceEqual(shape))))
        {
            return tensor;
        }

        var values = ranks.Rank == 0 ? tensor!.AsSpan<float>().ToArray() : new float[shape.Aggregate(1L, (a, b) => a * b)];
        ranks.Broadcast(values.AsSpan(), "the moments to continue with", isPatient: true);
        return HostTensor.FromSingles(shape, values);
    }
}
