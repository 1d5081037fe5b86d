using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Tensors;


namespace NextPatch.Core.Tests.Checkpoints;

public sealed class StreamedTensorTests
{
    // More than two of the parts in which tensors are written.
    private const int Count = 600_003;

    [Theory]
    [InlineData("made.safetensors")]
    [InlineData("made.pt")]
    [InlineData("made.npz")]
    public void Elements_made_by_a_formula_arrive_in_every_format(string name)
    {
        using var folder = new TemporaryFolder();
        var made = new[] { KeyValuePair.Create("a", StoredTensor.Generate([3, Count / 3], Squares)) };

        switch (Path.GetExtension(name))
        {
            case ".pt": PyTorchFile.Write(folder[name], made); break;
            case ".npz": NpzFile.Write(folder[name], made); break;
            default: SafetensorsFile.Write(folder[name], made); break;
        }

        using var file = WeightsFile.Open(folder[name]);
        var values = file.Tensors["a"].Read();
        Assert.Equal([3, Count / 3], values.Shape);
        Assert.Equal(Enumerable.Range(0, Count).Select(i => (float)i * i), values.ToSingles());
    }

    [Fact]
    public void A_watched_tensor_tells_how_much_was_given_out()
    {
        using var folder = new TemporaryFolder();
        var read = 0L;

        SafetensorsFile.Write(
            folder["a.safetensors"], [KeyValuePair.Create("a", StoredTensor.Generate([Count], Squares).Watched(bytes => read += bytes))]);

        Assert.Equal(Count * sizeof(float), read);
    }

    [Fact]
    public void What_a_watcher_throws_leaves_the_file_that_was_there()
    {
        using var folder = new TemporaryFolder();
        NpzFile.Write(folder["a.npz"], [KeyValuePair.Create("a", StoredTensor.Generate([1], Squares))]);
        var before = File.ReadAllBytes(folder["a.npz"]);

        Assert.Throws<OperationCanceledException>(
            () => NpzFile.Write(
            folder["a.npz"], [KeyValuePair.Create(
            "a", StoredTensor.Generate([Count], Squares).Watched(_ => throw new OperationCanceledException()))]));

        Assert.Equal(before, File.ReadAllBytes(folder["a.npz"]));
        Assert.Equal([folder["a.npz"]], Directory.GetFiles(folder.Path));
    }

    [Fact]
    public void A_large_file_is_whole_though_it_is_flushed_while_it_is_written()
    {
        using var folder = new TemporaryFolder();
        const int large = 24 << 20; // 96 MiB: flushed more than once

        SafetensorsFile.Write(folder["a.safetensors"], [KeyValuePair.Create("a", StoredTensor.Generate([large], Squares))]);

        using var file = SafetensorsFile.Open(folder["a.safetensors"]);
        var last = new byte[sizeof(float)];
        file.Tensors["a"].CopyTo((large - 1L) * sizeof(float), last);
        Assert.Equal((large - 1f) * (large - 1f), BitConverter.ToSingle(last));
    }

    [Fact]
    public void The_files_of_a_set_are_named_once_each()
    {
        using var folder = new TemporaryFolder();
        SafetensorsIndex.Write(
            folder.Path, Enumerable.Range(0, 4).Select(i => KeyValuePair.Create($"{i}", StoredTensor.Generate([2], Squares))), maxBytes: 16);

        Assert.Equal(
            [folder["model-00001-of-00002.safetensors"], folder["model-00002-of-00002.safetensors"]],
            SafetensorsIndex.FilesOf(folder[SafetensorsIndex.FileName]));
    }

    private static void Squares(long first, Span<float> values)
    {
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = (float)(first + i) * (first + i);
        }
    }
}
