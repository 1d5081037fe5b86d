using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Sampling;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;

namespace NextPatch.Training.Gpt;

/// <summary>Starts a run from given weights instead of drawn ones; the classes may be others.</summary>
internal static class InitialWeights
{
    private const string ClassTable = "cls_embedding.embedding_table.weight";

    /// <summary>Fills a model from a run, a checkpoint, or whatever <see cref="WeightsFile"/> opens.</summary>
    /// <param name="path">Where the weights are; the EMA is taken where there is one.</param>
    /// <param name="model">Filled; where the number of classes differs, its class table is drawn anew and only the null class is taken over.</param>
    /// <param name="seed">Seed of a class table that is drawn anew.</param>
    /// <returns>A sentence that says what was loaded.</returns>
    /// <exception cref="NextPatchException">Nothing loadable is there, it is damaged, or the shapes do not fit.</exception>
    public static string Load(string path, GptModel model, ulong seed)
    {
        var isRun = Directory.Exists(path) && WeightsFile.FindIn(path, WeightsKind.Auto) is null;
        using var file = WeightsFile.Open(isRun ? CheckpointFolder.Resolve(path) : path);
        CheckpointSums.RequireIntact(file.Path);
        var weights = file.Tensors.ToDictionary();
        var note = $"Initial weights from {file.Path}{(file.Kind == WeightsKind.Ema ? ", their average (ema)" : "")}.";
        if (weights.TryGetValue(ClassTable, out var table) && table.Shape is [var rows, var width] && rows != model.Config.ClassRows
            && width == model.Config.Width)
        {
            weights[ClassTable] = StoredTensor.From(Redrawn(table.Read(), model, seed));
            note += $" Its class table has {rows} rows but the run needs {model.Config.ClassRows}, so the classes start anew.";
        }

        StateLoader.Load(model, weights, file.Path);
        return note;
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
