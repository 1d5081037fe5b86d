using System.Diagnostics;
using NextPatch.Core.Checkpoints;

namespace NextPatch.Core.Tests.Checkpoints;

/// <summary>Against PyTorch itself, where there is one: NEXTPATCH_PYTHON names the interpreter that has it.</summary>
public sealed class PyTorchRoundTripTests
{
    private const string Variable = "NEXTPATCH_PYTHON";

    [Fact]
    public async Task Weights_come_back_from_pytorch_to_the_bit()
    {
        var python = Environment.GetEnvironmentVariable(Variable);
        Assert.SkipWhen(string.IsNullOrEmpty(python), $"set {Variable} to a Python interpreter with PyTorch 1.13 or newer (Debian: python3-torch)");
        using var folder = new TemporaryFolder();
        var state = Tensors();
        PyTorchFile.Write(folder["ours.pt"], state);
        using var process = Process.Start(new ProcessStartInfo(python!, [Stored.Fixture("round_trip.py"), folder["ours.pt"], folder["zip.pt"], folder["legacy.pt"]]) { RedirectStandardError = true })!;
        var error = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, error);
        foreach (var file in (string[])["zip.pt", "legacy.pt"])
        {
            var read = Assert.IsType<Dictionary<object, object?>>(Assert.IsType<Dictionary<object, object?>>(PyTorchFile.Read(folder[file]))["model"]);
            Assert.Equal(state.Select(pair => (object)pair.Key), read.Keys);
            Assert.All(state, pair => Stored.AssertEqual(pair.Value, Assert.IsType<HostTensor>(read[pair.Key])));
        }
    }

    /// <summary>Every type in every rank up to five, empty tensors too, with all bit patterns (for bool 0 and 1).</summary>
    private static List<KeyValuePair<string, HostTensor>> Tensors()
    {
        var state = new List<KeyValuePair<string, HostTensor>>();
        foreach (var type in TorchGlobals.Types.Select(t => t.Type))
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
