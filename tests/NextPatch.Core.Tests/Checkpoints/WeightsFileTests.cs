using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Tensors;


namespace NextPatch.Core.Tests.Checkpoints;

/// <summary>The same weights in the wrappings of the field's training scripts.</summary>
public sealed class WeightsFileTests
{
    private static readonly HostTensor Weight = HostTensor.FromSingles([2], [1, 2]);
    private static readonly HostTensor Average = HostTensor.FromSingles([2], [3, 4]);

    [Theory]
    [InlineData("model")]
    [InlineData("module")]
    [InlineData("state_dict")]
    [InlineData(null)]
    public void Weights_are_found_where_scripts_put_them(string? key)
        => AssertRead(Checkpoint(key, "layers.0.w"), WeightsKind.Auto, [1, 2], WeightsKind.Model);

    [Theory]
    [InlineData("module.layers.0.w")]
    [InlineData("_orig_mod.layers.0.w")]
    [InlineData("module._orig_mod.layers.0.w")]
    [InlineData("_orig_mod.module.layers.0.w")]
    [InlineData("_fsdp_wrapped_module.layers.0._checkpoint_wrapped_module.w")]
    [InlineData("layers.0._orig_mod.w")]
    public void Prefixes_of_wrappers_are_removed(string name) => AssertRead(Checkpoint("model", name), WeightsKind.Model, [1, 2], WeightsKind.Model);

    [Fact]
    public void The_average_is_chosen_where_there_is_one_and_can_be_refused()
    {
        var both = Checkpoint("model", "layers.0.w");
        both["ema"] = Named("layers.0.w", Average);
        AssertRead(both, WeightsKind.Auto, [3, 4], WeightsKind.Ema);
        AssertRead(both, WeightsKind.Ema, [3, 4], WeightsKind.Ema);
        AssertRead(both, WeightsKind.Model, [1, 2], WeightsKind.Model);
        both.Remove("model");
        Assert.Contains("'model'", Refused(both, WeightsKind.Model), StringComparison.Ordinal);
        Assert.Contains("'ema'", Refused(Checkpoint("model", "w"), WeightsKind.Ema), StringComparison.Ordinal);
    }

    [Fact]
    public void The_rotary_table_is_kept_apart_and_the_rest_is_at_hand()
    {
        using var folder = new TemporaryFolder();
        var content = Checkpoint("model", "w");
        ((Dictionary<object, object?>)content["model"]!)["module.freqs_cis"] = HostTensor.FromSingles([5, 2, 2], new float[20]);
        content["steps"] = 7L;
        content["args"] = new Dictionary<object, object?> { ["image_size"] = 256L };
        PyTorchFile.Write(folder["a.pt"], (object)content);
        using var file = WeightsFile.Open(folder["a.pt"]);
        Assert.Equal(["w"], file.Tensors.Keys);
        Assert.Equal([5, 2, 2], file.RotaryTable!.Shape);
        Assert.Equal(7, file.Step);
        Assert.Equal(["steps", "args"], file.Others.Keys);
    }

    [Fact]
    public void Names_that_become_equal_are_refused()
    {
        var content = Checkpoint("model", "w");
        ((Dictionary<object, object?>)content["model"]!)["module.w"] = Weight;
        Assert.Contains("two weights named 'w'", Refused(content, WeightsKind.Auto), StringComparison.Ordinal);
    }

    [Fact]
    public void Folders_and_other_formats_are_opened_alike()
    {
        using var folder = new TemporaryFolder();
        SafetensorsFile.Write(folder["model.safetensors"], Stored.Named(Weight), new Dictionary<string, string> { ["step"] = "9" });
        using (var npz = new NpzWriter(folder["w.npz"]))
        {
            npz.Add("a", Weight);
        }

        foreach (var path in (string[])[folder[""], folder["model.safetensors"], folder["w.npz"]])
        {
            using var file = WeightsFile.Open(path);
            Assert.Equal((WeightsKind.Model, 1f), (file.Kind, file.Tensors["a"].Read().ToSingles()[0]));
            Assert.Throws<DataFormatException>(
                () => path == folder[""] ? throw new DataFormatException("") : WeightsFile.Open(path, WeightsKind.Ema));
        }

        Assert.Contains(
            "no ema.safetensors", Assert.Throws<NextPatchException>(() => WeightsFile.Open(folder[""], WeightsKind.Ema)).Message,
            StringComparison.Ordinal);
        SafetensorsFile.Write(folder["ema.safetensors"], Stored.Named(Average));
        using var average = WeightsFile.Open(folder[""]);
        Assert.Equal((WeightsKind.Ema, 3f), (average.Kind, average.Tensors["a"].Read().ToSingles()[0]));
    }

    [Theory]
    [InlineData("a.txt", "no known kind")]
    [InlineData("gone.pt", "does not exist")]
    [InlineData("", "holds no weights")]
    public void Anything_else_is_refused(string name, string named)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["a.txt"], "");
        Assert.Contains(named, Assert.Throws<NextPatchException>(() => WeightsFile.Open(folder[name])).Message, StringComparison.Ordinal);
    }

    private static Dictionary<object, object?> Named(string name, HostTensor tensor) => new() { [name] = tensor };

    private static Dictionary<object, object?> Checkpoint(string? key, string name) => key is null ? Named(name, Weight) : new()
    {
        [key] = Named(name, Weight),
    };

    private static void AssertRead(Dictionary<object, object?> content, WeightsKind kind, float[] values, WeightsKind found)
    {
        using var folder = new TemporaryFolder();
        PyTorchFile.Write(folder["a.pt"], (object)content);
        using var file = WeightsFile.Open(folder["a.pt"], kind);
        var (name, tensor) = Assert.Single(file.Tensors);
        Assert.Equal(("layers.0.w", found), (name, file.Kind));
        Assert.Equal(values, tensor.Read().ToSingles());
    }

    private static string Refused(Dictionary<object, object?> content, WeightsKind kind)
    {
        using var folder = new TemporaryFolder();
        PyTorchFile.Write(folder["a.pt"], (object)content);
        return Assert.Throws<DataFormatException>(() => WeightsFile.Open(folder["a.pt"], kind)).Message;
    }
}
