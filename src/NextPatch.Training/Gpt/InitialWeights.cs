using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Sampling;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;

namespace NextPatch.Training.Gpt;

/// <summary>Starts a run from given weights instead of drawn ones; the classes may be others.</summary>
public static class InitialWeights
{
    private const string ClassTable = "cls_embedding.embedding_table.weight";

    /// <summary>Fills a model from a run, a checkpoint, a <c>.safetensors</c> or a <c>.pt</c> file.</summary>
    /// <param name="path">Where the weights are; of a checkpoint, the weight average where there is one.</param>
    /// <param name="model">Filled; where the number of classes differs, its class table is drawn anew and only the null class is taken over.</param>
    /// <param name="seed">Seed of a class table that is drawn anew.</param>
    /// <returns>A sentence that says what was loaded.</returns>
    /// <exception cref="NextPatchException">Nothing loadable is there, or the shapes do not fit.</exception>
    public static string Load(string path, GptModel model, ulong seed)
    {
        var (file, state) = Read(path);
        var weights = state.ToDictionary();
        var note = $"Initial weights from {file}.";
        if (weights.TryGetValue(ClassTable, out var table) && table.Shape is [var rows, var width] && rows != model.Config.ClassRows && width == model.Config.Width)
        {
            weights[ClassTable] = Redrawn(table, model, seed);
            note += $" Its class table has {rows} rows but the run needs {model.Config.ClassRows}, so the classes start anew.";
        }

        StateLoader.Load(model, weights, file);
        return note;
    }

    private static (string File, IReadOnlyDictionary<string, HostTensor> State) Read(string path)
    {
        if (Directory.Exists(path))
        {
            var folder = CheckpointFolder.Resolve(path);
            var average = Path.Combine(folder, "ema.safetensors");
            var file = File.Exists(average) ? average : Path.Combine(folder, "model.safetensors");
            return (file, SafetensorsFile.Read(file));
        }

        return Path.GetExtension(path).ToUpperInvariant() switch
        {
            ".SAFETENSORS" => (path, SafetensorsFile.Read(path)),
            ".PT" or ".PTH" => (path, PyTorchFile.ReadStateDict(path)),
            _ => throw new NextPatchException($"{path} is no run, checkpoint folder, .safetensors or .pt file, so no weights can be loaded from it."),
        };
    }

    /// <summary>The model's own freshly drawn table with the null class of the given one in its last row.</summary>
    private static HostTensor Redrawn(HostTensor given, GptModel model, ulong seed)
    {
        GptInitializer.Initialize(model, new CounterRandom(seed, RandomStream.Initialization).Bits(0, 0));
        var own = StateLoader.Capture(model).Single(p => p.Key == ClassTable).Value;
        var values = own.ToSingles();
        if (model.Config.HasNullClass)
        {
            given.ToSingles().AsSpan()[^model.Config.Width..].CopyTo(values.AsSpan()[^model.Config.Width..]);
        }

        return HostTensor.FromSingles(own.Shape, values);
    }
}
