using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Tests.Files;

public sealed class FileContentsTests
{
    private static readonly Dictionary<string, HostTensor> Tensors = new() { ["w"] = HostTensor.FromSingles([2], [1, 2]) };

    /// <summary>Every kind of weights under the extension of every other.</summary>
    [Theory]
    [InlineData(".pt")]
    [InlineData(".safetensors")]
    [InlineData(".npz")]
    [InlineData(".npy")]
    [InlineData(".dat")]
    [InlineData(".json")]
    public void Weights_are_known_by_their_content(string extension)
    {
        using var folder = new TemporaryFolder();
        var path = folder["a" + extension];
        foreach (var write in new Action[]
        {
            () => PyTorchFile.Write(path, Tensors, key: null),
            () => SafetensorsFile.Write(path, Tensors),
            () => NpzFile.Write(path, Tensors.Select(t => KeyValuePair.Create(t.Key, StoredTensor.From(t.Value)))),
            () => NpyFile.Write(path, Tensors["w"]),
        })
        {
            write();
            using var file = WeightsFile.Open(path);
            Assert.Equal([1f, 2f], file.Tensors.Single().Value.Read().ToSingles());
        }
    }

    [Theory]
    [InlineData("<!DOCTYPE html>", "a web page")]
    [InlineData("version https://git-lfs.github.com/spec/v1\n", "Git LFS")]
    [InlineData("{\"error\": \"no such file\"}", "JSON text")]
    [InlineData("\u001f\u008b", "a gzip file")]
    public void What_is_saved_instead_of_weights_is_named(string content, string expected)
    {
        using var folder = new TemporaryFolder();
        foreach (var extension in new[] { ".pt", ".safetensors", ".npz", ".npy", ".dat" })
        {
            File.WriteAllBytes(folder["a" + extension], [.. content.Select(c => (byte)c), .. new byte[600]]);
            Assert.Contains(
                expected, Assert.ThrowsAny<NextPatchException>(() => WeightsFile.Open(folder["a" + extension])).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Short_files_are_nothing()
        => Assert.All(Enumerable.Range(0, 9), n => Assert.Equal(FileContent.Unknown, FileContents.From(new byte[n])));
}
