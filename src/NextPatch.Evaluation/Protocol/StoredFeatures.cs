using System.Globalization;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using NextPatch.Core;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Generation;
using NextPatch.Core.Tensors;
using NextPatch.Evaluation.Networks;

namespace NextPatch.Evaluation.Protocol;

// Shape letters used in this file: N images, D, S and C values of an image, B batches.

/// <summary>
/// Features that several processes computed, each of a part of the images: batches are known by their pixels, so who measures all of them gets the
/// bits that the network itself would give, and computes what no part holds.
/// </summary>
internal sealed class StoredFeatures : IFeatureNetwork
{
    private const string Format = "nextpatch-features";
    private static readonly string[] Kinds = ["pooled", "spatial", "logits"];

    private readonly IFeatureNetwork _network;
    private readonly List<TensorFile> _files = [];
    private readonly Dictionary<UInt128, (TensorFile File, int Row, int Count)> _batches = [];

    /// <param name="folder">Where <see cref="Write"/> left the parts.</param>
    /// <param name="network">Their network; disposed with this object.</param>
    /// <exception cref="ConfigException">A part was computed by another network.</exception>
    /// <exception cref="NextPatchException">There is no part, or one is damaged.</exception>
    public StoredFeatures(string folder, IFeatureNetwork network)
    {
        _network = network;
        try
        {
            var found = Directory.Exists(folder) ? Directory.GetFiles(folder, "*.safetensors").Order(StringComparer.Ordinal).ToArray() : [];
            if (found.Length == 0)
            {
                throw new NextPatchException($"{folder} holds no features; compute them first, one part after another or side by side, with Shard.")
                { Settings = ["Shard"] };
            }

            Array.ForEach(found, Add);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public string Name => _network.Name;

    public string WeightsHash => _network.WeightsHash;

    public int FeatureCount => _network.FeatureCount;

    public int SpatialCount => _network.SpatialCount;

    public int ClassCount => _network.ClassCount;

    public int? InputSide => _network.InputSide;

    public ResizeProtocol? Resize => _network.Resize;

    /// <summary>Images whose features were in no part and were computed here.</summary>
    public int Computed { get; private set; }

    /// <summary>Computes the features of one part of the images, every so manieth batch, and keeps them in files of the folder.</summary>
    /// <param name="folder">Made if need be; files of an earlier run of this part are replaced or removed.</param>
    /// <param name="sets">All images of the measurement.</param>
    /// <param name="network">Computes.</param>
    /// <param name="shard">Which part.</param>
    /// <param name="progress">Receives the number of images done.</param>
    /// <param name="most">Images of a file; a part of more has several. An array of .NET holds 262,143 rows of Inception's.</param>
    /// <param name="cancellation">Checked between batches; then only files that are whole are there.</param>
    /// <returns>The last file, and how many images they hold.</returns>
    public static (string File, int Images) Write(
        string folder, IEnumerable<ImageSet> sets, IFeatureNetwork network, Shard shard, IProgress<int>? progress = null, int most = 100_000,
        CancellationToken cancellation = default)
    {
        var (keys, rows) = (new List<ulong>(), Kinds.Select(_ => new List<float>()).ToArray());
        var name = string.Create(CultureInfo.InvariantCulture, $"part-{shard.Index + 1:D5}-of-{shard.Count:D5}");
        var (images, index, written, ours) = (0, 0, 0, new List<string>());
        foreach (var batch in sets.SelectMany(set => set.Read(cancellation)))
        {
            cancellation.ThrowIfCancellationRequested();
            if (index++ % shard.Count != shard.Index)
            {
                continue;
            }

            if (images - written + batch.Count > most)
            {
                Flush();
            }

            var features = network.Extract(batch.Pixels, batch.Height, batch.Width);
            var key = KeyOf(batch.Pixels, batch.Height, batch.Width);
            keys.AddRange([(ulong)key, (ulong)(key >> 64), (ulong)batch.Count]);
            rows[0].AddRange(features.Pooled);
            rows[1].AddRange(features.Spatial);
            rows[2].AddRange(features.Logits);
            images += batch.Count;
            progress?.Report(images);
        }

        var last = Flush();
        foreach (var stale in Directory.GetFiles(folder, $"{name}-*.safetensors").ExceptBy(ours.Select(Path.GetFileName), Path.GetFileName))
        {
            File.Delete(stale);
        }

        return (last, images);

        string Flush()
        {
            Directory.CreateDirectory(folder);
            var number = ours.Count == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"-{ours.Count + 1}");
            var file = Path.Combine(folder, $"{name}{number}.safetensors");
            int[] widths = [network.FeatureCount, network.SpatialCount, network.ClassCount];
            SafetensorsFile.Write(
                file,
                [
                    new("batches", HostTensor.From<long>(ElementType.Int64, [keys.Count / 3, 3], [.. keys.Select(k => (long)k)])),
                    .. Kinds.Select((kind, i) => KeyValuePair.Create(
                        kind, HostTensor.FromSingles([images - written, widths[i]], CollectionsMarshal.AsSpan(rows[i])))),
                ],
                new Dictionary<string, string> { ["format"] = Format, ["network"] = Describe(network) });
            written = images;
            ours.Add(file);
            keys.Clear();
            Array.ForEach(rows, list => list.Clear());
            return file;
        }
    }

    public ImageFeatures Extract(ReadOnlySpan<byte> pixels, int height, int width)
    {
        if (!_batches.TryGetValue(KeyOf(pixels, height, width), out var batch))
        {
            var computed = _network.Extract(pixels, height, width);
            Computed += computed.Count;
            return computed;
        }

        float[] Rows(string kind, int values)
        {
            var rows = new float[batch.Count * values];
            if (rows.Length > 0)
            {
                batch.File.Tensors[kind].CopyTo((long)batch.Row * values * sizeof(float), MemoryMarshal.AsBytes(rows.AsSpan()));
            }

            return rows;
        }

        return new ImageFeatures(batch.Count, Rows(Kinds[0], FeatureCount), Rows(Kinds[1], SpatialCount), Rows(Kinds[2], ClassCount));
    }

    public void Dispose()
    {
        _files.ForEach(f => f.Dispose());
        _network.Dispose();
    }

    private static string Describe(IFeatureNetwork network) => $"{network.Name} {network.WeightsHash} {network.Resize}";

    private static UInt128 KeyOf(ReadOnlySpan<byte> pixels, int height, int width)
        => XxHash128.HashToUInt128(pixels, ((long)height << 32) | (long)width);

    private void Add(string path)
    {
        var file = SafetensorsFile.Open(path);
        _files.Add(file);
        if (file.Metadata.GetValueOrDefault("format") != Format)
        {
            throw new DataFormatException($"{path} holds no features of images; keep their folder for them alone.");
        }

        if (file.Metadata.GetValueOrDefault("network") is var made && made != Describe(_network))
        {
            throw new ConfigException(
                $"{path} holds features of {made}, but {Describe(_network)} measures; name the same Network, Weights and Resize, or another folder.")
            { Settings = ["Network", "Weights", "Resize"] };
        }

        var batches = file.Tensors["batches"].Read().AsSpan<long>();
        var row = 0;
        for (var i = 0; i < batches.Length; i += 3)
        {
            var count = checked((int)batches[i + 2]);
            _batches[new UInt128((ulong)batches[i + 1], (ulong)batches[i])] = (file, row, count);
            row += count;
        }

        if (file.Tensors[Kinds[0]].Shape is not [var rows, var width] || rows != row || width != FeatureCount)
        {
            throw new DataFormatException($"{path} is damaged: its batches and rows do not agree. Compute this part again.");
        }
    }
}
