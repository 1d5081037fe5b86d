using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Tensors;


namespace NextPatch.Core.Tests.Checkpoints;

/// <summary>Against PyTorch and NumPy themselves, where a Python with them is found (<see cref="Python"/>).</summary>
public sealed class PythonRoundTripTests
{
    [Fact]
    public async Task Weights_and_training_state_come_back_from_pytorch_to_the_bit()
    {
        var python = Python.With("torch");
        using var folder = new TemporaryFolder();
        var state = Tensors(TorchGlobals.Types.Select(t => t.Type));
        var tied = state[0].Value;
        PyTorchFile.Write(folder["weights.pt"], state);
        PyTorchFile.Write(folder["training.pt"], (object)new Dictionary<object, object?>
        {
            ["model"] = state.ConvertAll(p => KeyValuePair.Create(p.Key, StoredTensor.From(p.Value))),
            ["tied"] = new List<object?> { tied, tied },
            ["optimizer"] = Optimizer(),
        });
        await python.RunAsync(
            Stored.Fixture("round_trip.py"), "torch", folder["weights.pt"], folder["training.pt"], folder["zip.pt"], folder["legacy.pt"]);
        foreach (var file in (string[])["zip.pt", "legacy.pt"])
        {
            var top = Assert.IsType<Dictionary<object, object?>>(PyTorchFile.Read(folder[file]));
            var model = Assert.IsType<Dictionary<object, object?>>(top["model"]);
            Assert.Equal(state.Select(pair => (object)pair.Key), model.Keys);
            Assert.All(state, pair => Stored.AssertEqual(pair.Value, Assert.IsType<HostTensor>(model[pair.Key])));
            Stored.AssertSame(Optimizer(), top["optimizer"]);
        }
    }

    [Fact]
    public async Task Arrays_come_back_from_numpy_to_the_bit()
    {
        var python = Python.With("numpy");
        using var folder = new TemporaryFolder();
        var arrays = Tensors(Stored.NumPyTypes);
        using (var writer = new NpzWriter(folder["ours.npz"]))
        {
            arrays.ForEach(pair => writer.Add(pair.Key, pair.Value));
        }

        string[] written = [folder["stored.npz"], folder["deflated.npz"], folder["fortran.npz"], folder["big.npz"]];
        await python.RunAsync([Stored.Fixture("round_trip.py"), "numpy", folder["ours.npz"], .. written]);
        foreach (var file in written)
        {
            var read = NpzFile.Read(file);
            Assert.Equal(arrays.Select(pair => pair.Key), read.Keys);
            Assert.All(arrays, pair => Stored.AssertEqual(pair.Value, read[pair.Key]));
        }
    }

    /// <summary>What torch.optim.AdamW.state_dict() gives: numbered entries, groups, and every kind of plain value.</summary>
    private static Dictionary<object, object?> Optimizer() => new()
    {
        ["state"] = new Dictionary<object, object?>
        {
            [0L] = new Dictionary<object, object?> { ["step"] = HostTensor.FromSingles([], [7]), ["exp_avg"] = HostTensor.FromSingles([2], [1, -2]) },
            [300L] = new Dictionary<object, object?> { ["step"] = HostTensor.FromSingles([], [8]) },
        },
        ["param_groups"] = new List<object?>
        {
            new Dictionary<object, object?>
            {
                ["lr"] = 1e-4, ["maximize"] = false, ["foreach"] = null, ["fused"] = true, ["params"] = new List<object?>
                {
                    0L, 300L, -1L, 70_000L, 1L << 40,
                }, ["name"] = "größe",
            },
        },
    };

    /// <summary>Every type in every rank up to five, empty tensors too, with all bit patterns (for bool 0 and 1).</summary>
    private static List<KeyValuePair<string, HostTensor>> Tensors(IEnumerable<ElementType> types)
    {
        var state = new List<KeyValuePair<string, HostTensor>>();
        foreach (var type in types)
        {
            foreach (var shape in (long[][])[[], [300], [17, 16], [3, 0, 2], [2, 3, 4], [2, 3, 4, 5], [1, 2, 1, 3, 2]])
            {
                var bytes = new byte[HostTensor.CountElements(shape) * type.Size()];
                for (var i = 0; i < bytes.Length; i++)
                {
                    bytes[i] = (byte)(type == ElementType.Bool ? i % 2 : i * 37);
                }

                state.Add(KeyValuePair.Create($"{type}.{string.Join('x', shape)}", new HostTensor(type, shape, bytes)));
            }
        }

        return state;
    }
}
