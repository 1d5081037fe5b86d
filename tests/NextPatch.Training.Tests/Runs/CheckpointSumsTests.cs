using System.Security.Cryptography;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Tensors;

namespace NextPatch.Training.Tests.Runs;

public sealed class CheckpointSumsTests
{
    [Theory]
    [InlineData(null)]
    [InlineData("model.safetensors.index.json")]
    [InlineData("model-00002-of-00002.safetensors")]
    public void An_index_vouches_for_the_files_it_lists(string? damaged)
    {
        using var folder = new TemporaryFolder();
        var tensor = StoredTensor.From(HostTensor.FromSingles([4], [1, 2, 3, 4]));
        SafetensorsIndex.Write(folder[""], [new("a", tensor), new("b", tensor)], maxBytes: 16);
        WriteSums(folder[""]);
        if (damaged is not null)
        {
            var bytes = File.ReadAllBytes(folder[damaged]);
            bytes[^2] ^= 1;
            File.WriteAllBytes(folder[damaged], bytes);
        }

        // What identifies a set is the hash of all its files together, so the one given must not be compared with that of the index.
        var failure = Record.Exception(() => CheckpointSums.RequireIntact(folder[SafetensorsIndex.FileName], new string('0', 64)));

        Assert.Equal(damaged is null, failure is null);
        Assert.Contains(damaged ?? "", failure?.Message ?? "", StringComparison.Ordinal);
    }

    private static void WriteSums(string folder)
        => File.WriteAllLines(
            Path.Combine(folder, CheckpointSums.FileName),
            Directory.GetFiles(folder).Select(f => $"{Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(f)))}  {Path.GetFileName(f)}"));
}
