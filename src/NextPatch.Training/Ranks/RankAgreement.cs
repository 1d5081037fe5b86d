using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using NextPatch.Core.Configuration;
using NextPatch.Data.Codes;

namespace NextPatch.Training.Ranks;

/// <summary>Whether ranks are about to compute the same run.</summary>
internal static class RankAgreement
{
    private const int SampledImages = 256;

    /// <summary>Compares settings and codes before the first step.</summary>
    /// <exception cref="RankFailureException">They differ, or there are more ranks than images in a step.</exception>
    public static void Require(ICommunicator ranks, CheckpointConfig config, CodeStore store)
    {
        if (ranks.Size == 1)
        {
            return;
        }

        var settings = Encoding.UTF8.GetBytes(JsonSerializer.Serialize(config with { TokenizerPath = null }, ConfigJson.Default.CheckpointConfig));
        Require(ranks, XxHash3.HashToUInt64(settings), "settings", "Give all ranks the same options, configuration files and version of NextPatch.");
        Require(ranks, HashOf(store), "codes", "Copy rank 0's folder of codes to every machine, or let all read a shared one.");
        if (config.Training!.BatchSize < ranks.Size)
        {
            throw new RankFailureException(
                $"A step has {config.Training.BatchSize} images, which {ranks.Size} ranks cannot share; start at most as many ranks, or raise "
                + "BatchSize.")
            { Settings = ["BatchSize"] };
        }
    }

    private static void Require(ICommunicator ranks, ulong hash, string what, string remedy)
    {
        var all = ranks.AllGather(hash, $"the comparison of {what}", isPatient: true); // rank 0 may open a reference first
        var others = Enumerable.Range(0, all.Length).Where(rank => all[rank] != all[0]).ToArray();
        if (others.Length > 0)
        {
            throw new RankFailureException(
                $"{(others.Length == 1 ? $"Rank {others[0]} has" : $"Ranks {string.Join(", ", others)} have")} other {what} than rank 0. {remedy}");
        }
    }

    /// <summary>What the manifest says, and some images spread over the store: reading all of it would take minutes.</summary>
    private static ulong HashOf(CodeStore store)
    {
        var hash = new XxHash3();
        var manifest = store.Manifest;
        hash.Append(Encoding.UTF8.GetBytes(
            $"{store.Count} {manifest.HeldOutCount} {store.Augmentations} {manifest.FileHashes?.GetValueOrDefault("codes.npy")}"));
        var row = new int[store.CodesPerImage];
        for (var i = 0; i < Math.Min(SampledImages, store.Count); i++)
        {
            var image = (int)((long)i * store.Count / Math.Min(SampledImages, store.Count));
            store.ReadCodes(image, 0, row);
            hash.Append(MemoryMarshal.AsBytes<int>(row));
            hash.Append(BitConverter.GetBytes(store.Label(image)));
        }

        return hash.GetCurrentHashAsUInt64();
    }
}
