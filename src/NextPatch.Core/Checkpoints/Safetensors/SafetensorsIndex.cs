using System.Text.Json;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.Safetensors;

/// <summary>A set of safetensors files with an index that says which tensor lies in which file, as Hugging Face writes large models.</summary>
/// <remarks>Source: huggingface_hub, serialization: <c>{"metadata": {"total_size": n}, "weight_map": {name: file}}</c>.</remarks>
internal static class SafetensorsIndex
{
    /// <summary>File name of the index beside the files of a set.</summary>
    public const string FileName = "model.safetensors.index.json";

    private const long MaxIndexBytes = 100_000_000;

    /// <summary>Whether a path names an index, by its extension.</summary>
    public static bool IsIndex(string path) => path.EndsWith(".index.json", StringComparison.OrdinalIgnoreCase);

    /// <summary>Opens the files of a set; they lie beside the index.</summary>
    /// <exception cref="DataFormatException">The index is damaged, or index and files name different tensors.</exception>
    public static TensorFile Open(string path)
    {
        var map = ReadMap(path);
        var files = new Dictionary<string, TensorFile>();
        try
        {
            foreach (var name in map.Values.Distinct())
            {
                files[name] = SafetensorsFile.Open(Path.Combine(Path.GetDirectoryName(path) ?? "", name));
            }

            var tensors = map.ToDictionary(p => p.Key, p => files[p.Value].Tensors.GetValueOrDefault(p.Key)
                ?? throw new DataFormatException($"'{path}' says that {StoredFile.Quote(p.Key)} lies in '{p.Value}', but it does not."));
            var unlisted = files.SelectMany(f => f.Value.Tensors.Keys).FirstOrDefault(name => !tensors.ContainsKey(name));
            return unlisted is null
                ? new TensorFile(path, tensors, files.Values.First().Metadata, [.. files.Values])
                : throw new DataFormatException(
                    $"'{path}' does not list the tensor {StoredFile.Quote(unlisted)} of its files; index and files do not belong together.");
        }
        catch
        {
            foreach (var file in files.Values)
            {
                file.Dispose();
            }

            throw;
        }
    }

    /// <summary>The files of a set, by path, each once, in the order of the index.</summary>
    /// <exception cref="DataFormatException">The index is damaged.</exception>
    public static IReadOnlyList<string> FilesOf(string path)
        => [.. ReadMap(path).Values.Distinct().Select(name => Path.Combine(Path.GetDirectoryName(path) ?? "", name))];

    /// <summary>Writes <c>model.safetensors</c>, or, if that were too large, numbered files and their index.</summary>
    /// <param name="folder">Exists.</param>
    /// <param name="tensors">Tensors by name, in this order; names must differ.</param>
    /// <param name="maxBytes">Most bytes of tensors in a file; a single tensor may be larger.</param>
    /// <param name="metadata">Free text pairs.</param>
    /// <exception cref="NextPatchException">A file cannot be written.</exception>
    public static void Write(
        string folder, IEnumerable<KeyValuePair<string, StoredTensor>> tensors, long maxBytes, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var shards = new List<List<KeyValuePair<string, StoredTensor>>>();
        var room = -1L;
        foreach (var pair in tensors)
        {
            room -= pair.Value.ByteCount;
            if (room < 0 || shards.Count == 0)
            {
                shards.Add([]);
                room = maxBytes - pair.Value.ByteCount;
            }

            shards[^1].Add(pair);
        }

        if (shards.Count <= 1)
        {
            SafetensorsFile.Write(Path.Combine(folder, "model.safetensors"), shards.SelectMany(s => s), metadata);
            return;
        }

        string NameOf(int shard) => $"model-{shard + 1:D5}-of-{shards.Count:D5}.safetensors";
        for (var i = 0; i < shards.Count; i++)
        {
            SafetensorsFile.Write(Path.Combine(folder, NameOf(i)), shards[i], metadata);
        }

        WriteMap(Path.Combine(folder, FileName), shards.SelectMany((shard, i) => shard.Select(p => (p.Key, File: NameOf(i)))),
            shards.Sum(s => s.Sum(p => p.Value.ByteCount)));
    }

    private static void WriteMap(string path, IEnumerable<(string Name, string File)> map, long totalBytes) => StoredFile.Replace(path, stream =>
    {
        using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true });
        json.WriteStartObject();
        json.WriteStartObject("metadata");
        json.WriteNumber("total_size", totalBytes);
        json.WriteEndObject();
        json.WriteStartObject("weight_map");
        foreach (var (name, file) in map)
        {
            json.WriteString(name, file);
        }

        json.WriteEndObject();
        json.WriteEndObject();
    });

    private static Dictionary<string, string> ReadMap(string path)
    {
        try
        {
            using var json = JsonDocument.Parse(
                TextFile.ReadUtf8(path, MaxIndexBytes), new JsonDocumentOptions { MaxDepth = 8, AllowDuplicateProperties = false });
            var map = json.RootElement.GetProperty("weight_map").EnumerateObject().ToDictionary(p => p.Name, p => p.Value.GetString() ?? "");
            return map.Values.FirstOrDefault(
                file => PathComponent.ProblemOf(file) is not null || !file.EndsWith(".safetensors", StringComparison.Ordinal)) is { } outside
                ? throw new DataFormatException(
                    $"'{path}' names the file {StoredFile.Quote(outside)}; only .safetensors files beside the index are opened.")
                : map.Count > 0 ? map : throw new DataFormatException($"'{path}' lists no tensors.");
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or ArgumentException)
        {
            throw new DataFormatException($"'{path}' is not an index of safetensors files: {e.Message}", e);
        }
    }
}
