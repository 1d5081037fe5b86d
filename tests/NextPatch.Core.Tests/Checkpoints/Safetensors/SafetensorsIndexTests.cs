using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Tensors;


namespace NextPatch.Core.Tests.Checkpoints.Safetensors;

public sealed class SafetensorsIndexTests
{
    private static readonly List<KeyValuePair<string, StoredTensor>> Tensors =
        [.. Stored.Named(HostTensor.FromSingles([3], [1, 2, 3]), HostTensor.FromSingles([2], [4, 5]), HostTensor.FromSingles([1], [6])).Select(
            p => KeyValuePair.Create(p.Key, StoredTensor.From(p.Value)))];

    [Fact]
    public void Shards_are_filled_in_order_and_read_as_one()
    {
        using var folder = new TemporaryFolder();
        SafetensorsIndex.Write(folder[""], Tensors, maxBytes: 12, new Dictionary<string, string> { ["format"] = "pt" });
        Assert.Equal(
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"],
            Directory.GetFiles(folder[""]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        using var file = SafetensorsFile.Open(folder["model.safetensors.index.json"]);
        Assert.Equal("pt", file.Metadata["format"]);
        Assert.Equal([1f, 2, 3, 4, 5, 6], file.Tensors.OrderBy(p => p.Key).SelectMany(p => p.Value.Read().ToSingles()));
    }

    [Fact]
    public void What_fits_one_file_needs_no_index()
    {
        using var folder = new TemporaryFolder();
        SafetensorsIndex.Write(folder[""], Tensors, maxBytes: 24);
        Assert.Equal("model.safetensors", Path.GetFileName(Assert.Single(Directory.GetFiles(folder[""]))));
    }

    [Theory]
    [InlineData("""{"weight_map":{"a":"../m.safetensors"}}""", "beside the index")]
    [InlineData("""{"weight_map":{"a":"/etc/m.safetensors"}}""", "beside the index")]
    [InlineData("""{"weight_map":{"a":"m.pt"}}""", "beside the index")]
    [InlineData("""{"weight_map":{"a":""}}""", "beside the index")]
    [InlineData("""{"weight_map":{"a":7}}""", "not an index")]
    [InlineData("""{"weight_map":{"a":"m.safetensors","a":"m.safetensors"}}""", "not an index")]
    [InlineData("""{"weight_map":{}}""", "lists no tensors")]
    [InlineData("""{"metadata":{}}""", "not an index")]
    [InlineData("[", "not an index")]
    [InlineData("""{"weight_map":{"a":"m.safetensors"}}""", "does not list the tensor 'b'")]
    [InlineData("""{"weight_map":{"a":"m.safetensors","b":"m.safetensors","c":"m.safetensors","d":"m.safetensors"}}""", "'d' lies in")]
    public void An_index_that_lies_is_refused(string json, string named)
    {
        using var folder = new TemporaryFolder();
        SafetensorsFile.Write(folder["m.safetensors"], Tensors);
        File.WriteAllText(folder["x.index.json"], json);
        Assert.Contains(named, Stored.Refused(() => SafetensorsFile.Read(folder["x.index.json"])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_shard_is_named()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["x.index.json"], """{"weight_map":{"a":"gone.safetensors"}}""");
        Assert.Contains(
            "gone.safetensors", Assert.Throws<NextPatchException>(() => SafetensorsFile.Read(folder["x.index.json"])).Message,
            StringComparison.Ordinal);
    }
}
