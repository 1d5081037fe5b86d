using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Tests.Tensors;

public sealed class Int8PanelsTests
{
    private const string Name = "layers.0.attention.wqkv.weight";

    [Theory]
    [InlineData(1, 1)]
    [InlineData(31, 127)]
    [InlineData(64, 128)]
    [InlineData(65, 129)]
    [InlineData(100, 300)]
    public void Panels_in_a_file_are_the_rows_that_eight_bits_give(int rows, int length)
    {
        using var folder = new TemporaryFolder();
        var source = FormulaTensors.Make("w", 1, 0.1f, rows, length);
        var (quantities, scales) = Int8Quantization.Quantize(source);
        var expected = new QuantizedTensor(quantities, scales).Read().ToSingles();
        Write(folder["model.safetensors"], source, rows, length);

        using var file = WeightsFile.Open(folder["model.safetensors"]);

        var tensor = Assert.IsType<PanelTensor>(file.Tensors[Name]);
        Assert.Equal(2, file.Tensors.Count); // and the norm: neither panels nor scales
        Assert.Equal(new long[] { rows, length }, tensor.Shape);
        Assert.Equal(expected, tensor.Read().ToSingles());
        var part = new float[Math.Min(7, expected.Length)];
        tensor.CopyTo((expected.Length - part.Length) * sizeof(float), System.Runtime.InteropServices.MemoryMarshal.AsBytes(part.AsSpan()));
        Assert.Equal(expected[^part.Length..], part);
    }

    [Fact]
    public void Panels_begin_on_a_cache_line_and_stay_when_the_file_is_closed_and_deleted()
    {
        using var folder = new TemporaryFolder();
        var source = FormulaTensors.Make("w", 1, 0, 70, 130);
        Write(folder["model.safetensors"], source, 70, 130);
        Assert.Equal(0, SafetensorsFile.ReadHeader(folder["model.safetensors"]).Entries[Name + Int8Panels.Suffix].Offset % Int8Panels.Alignment);
        var expected = Int8Panels.Quantize(source).Panels.Read().Bytes.ToArray();

        HeldBytes held;
        using (var file = WeightsFile.Open(folder["model.safetensors"]))
        {
            held = ((PanelTensor)file.Tensors[Name]).Panels.Hold()!;
        }

        using (held)
        {
            if (!OperatingSystem.IsWindows())
            {
                File.Delete(folder["model.safetensors"]);
            }

            unsafe
            {
                Assert.Equal(expected, new ReadOnlySpan<byte>(held.Start, expected.Length).ToArray());
            }
        }
    }

    [Theory]
    [InlineData("{\"layers.0.attention.wqkv.weight\":[70,131]}", "panels")] // another width than the tensor's
    [InlineData("{\"layers.0.attention.wqkv.weight\":[200,130]}", "panels")]
    [InlineData("{\"layers.0.attention.wqkv.weight\":[70]}", "two extents")]
    [InlineData("{\"layers.0.attention.wqkv.weight\":[-70,130]}", "two extents")]
    [InlineData("{\"layers.0.attention.wqkv.weight\":[70,1e30]}", "two extents")]
    [InlineData("{\"layers.0.attention.wqkv.weight\":[70,130],\"other\":[1,1]}", "'other.panels' is missing")]
    [InlineData("{\"norm.weight\":[70,130]}", "'norm.weight.panels' is missing")]
    [InlineData("[1]", "metadata promise")]
    [InlineData("nonsense", "metadata promise")]
    public void Metadata_that_promise_what_is_not_there_are_refused(string metadata, string problem)
    {
        using var folder = new TemporaryFolder();
        Write(folder["model.safetensors"], FormulaTensors.Make("w", 1, 0, 70, 130), 70, 130, metadata);
        var error = Assert.Throws<DataFormatException>(() => WeightsFile.Open(folder["model.safetensors"]));
        Assert.Contains(problem, error.Message, StringComparison.Ordinal);
        Assert.Contains(folder["model.safetensors"], error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_ends_early_is_refused_when_it_is_opened()
    {
        using var folder = new TemporaryFolder();
        Write(folder["model.safetensors"], FormulaTensors.Make("w", 1, 0, 70, 130), 70, 130);
        using (var file = File.OpenWrite(folder["model.safetensors"]))
        {
            file.SetLength(file.Length - 1);
        }

        Assert.Contains(
            "truncated", Assert.Throws<DataFormatException>(() => WeightsFile.Open(folder["model.safetensors"])).Message, StringComparison.Ordinal);
    }

    private static void Write(string path, StoredTensor source, long rows, long length, string? metadata = null)
    {
        var (panels, scales) = Int8Panels.Quantize(source);
        Assert.Equal(Int8Panels.PanelShape(rows, length), panels.Shape);
        SafetensorsFile.Write(
            path,
            new KeyValuePair<string, StoredTensor>[]
            {
                new(Name + Int8Panels.Suffix, panels), new(Name + Int8Panels.ScaleSuffix, scales),
                new("norm.weight", FormulaTensors.Make("n", 1, 0, 4)),
            },
            new Dictionary<string, string> { [Int8Panels.MetadataKey] = metadata ?? Int8Panels.Describe([new(Name, source)]) });
    }
}
