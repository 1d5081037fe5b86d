using System.Globalization;
using NextPatch.Core;
using NextPatch.Core.Generation;
using NextPatch.Data.Codes;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;

namespace NextPatch.Extraction;

/// <summary>Codes that several processes extract, each a part of the images in a folder of its own, and how they become one folder.</summary>
internal static class CodeShards
{
    private const string Prefix = "shard-";
    private const string Of = "-of-";
    private const int BlockImages = 256;

    public static string FolderOf(string output, Shard shard) => Path.Combine(
        output, string.Create(CultureInfo.InvariantCulture, $"{Prefix}{shard.Index + 1}{Of}{shard.Count}"));

    /// <summary>
    /// The images of a part. Parts are whole batches of those to learn from, so that the network sees the batches that it sees in one process;
    /// held-out images go to the last one.
    /// </summary>
    /// <exception cref="ConfigException">There are more parts than batches.</exception>
    public static (int First, int End) Range(ChosenImages images, Shard shard, int batchImages)
    {
        var batches = images.TrainCount / batchImages;
        if (shard.Count > Math.Max(1, batches))
        {
            throw new ConfigException(
                $"Shard {shard}: {images.TrainCount} images are {batches} whole batches of {batchImages}, and a part has at least one of them; take "
                + $"{Math.Max(1, batches)} parts or fewer, or a smaller BatchSize.")
            { Settings = ["Shard", "BatchSize"] };
        }

        var (first, end) = shard.Of(batches);
        return (first * batchImages, shard.Index == shard.Count - 1 ? images.Count : end * batchImages);
    }

    /// <summary>Into how many parts the images of a folder were cut; null where there are none.</summary>
    /// <exception cref="ConfigException">Into several numbers of parts.</exception>
    public static int? Find(string output)
    {
        var counts = (Directory.Exists(output) ? Directory.GetDirectories(output, $"{Prefix}*{Of}*") : [])
            .Select(folder => Path.GetFileName(folder).Split(Of)[^1])
            .Where(text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out _)).Distinct().ToArray();
        return counts switch
        {
            [] => null,
            [var count] => int.Parse(count, CultureInfo.InvariantCulture),
            _ => throw new ConfigException($"'{output}' holds parts of {string.Join(", ", counts)}; remove those that do not belong there."),
        };
    }

    /// <summary>Appends the codes of all parts, in their order.</summary>
    /// <param name="output">The folder that they lie in.</param>
    /// <param name="count">How many there are.</param>
    /// <param name="images">All images.</param>
    /// <param name="batchImages">Images of a batch.</param>
    /// <param name="codes">Takes them.</param>
    /// <param name="open">Opens the folder of a part as its extraction does, which refuses one that was begun with other settings.</param>
    /// <param name="cancellation">Checked between parts; what is taken stays.</param>
    /// <exception cref="ConfigException">A part is missing or not complete, or the folder was begun without parts.</exception>
    public static void Merge(
        string output, int count, ChosenImages images, int batchImages, CodeAppender codes, Func<string, ChosenImages, CodeAppender> open,
        CancellationToken cancellation)
    {
        for (var index = 0; index < count; index++)
        {
            cancellation.ThrowIfCancellationRequested();
            var shard = new Shard(index, count);
            var (folder, (first, end)) = (FolderOf(output, shard), Range(images, shard, batchImages));
            if (codes.Progress.Next >= end)
            {
                continue;
            }

            if (codes.Progress.Next != first)
            {
                throw new ConfigException(
                    $"'{output}' was begun without parts; go on without them (remove the folders {Prefix}*), or remove the rest.");
            }

            if (!CodeStore.IsCodeFolder(folder))
            {
                throw new ConfigException(
                    $"Part {shard} of the codes is not complete. Do it with Shard {shard}, or remove the folders {Prefix}* in '{output}' to do "
                    + "without parts.")
                { Settings = ["Shard"] };
            }

            AppendProgress part;
            using (var extraction = open(folder, images.Slice(first, end)))
            {
                part = extraction.Progress;
            }

            if (part.Count == 0)
            {
                codes.Append([], [], [], After(codes.Progress, part, first, end)); // all images of the part were left out
            }
            else
            {
                using var store = CodeStore.Open(folder);
                Append(store, part, first, end, codes);
            }

            codes.Save();
        }
    }

    private static void Append(CodeStore store, AppendProgress part, int place, int end, CodeAppender codes)
    {
        var before = codes.Progress;
        var perImage = store.Augmentations * store.CodesPerImage;
        for (var first = 0; first < store.Count; first += BlockImages)
        {
            var count = Math.Min(BlockImages, store.Count - first);
            var (block, labels, captions) = (new int[count * perImage], new int[count], new int[store.Manifest.Captions is null ? 0 : count]);
            for (var i = 0; i < count; i++)
            {
                labels[i] = store.Label(first + i);
                if (captions.Length > 0)
                {
                    captions[i] = store.CaptionLine(first + i);
                }

                for (var a = 0; a < store.Augmentations; a++)
                {
                    store.ReadCodes(first + i, a, block.AsSpan((i * perImage) + (a * store.CodesPerImage), store.CodesPerImage));
                }
            }

            var isLast = first + count == store.Count;
            codes.Append(block, labels, captions, !isLast ? before with { Count = before.Count + first + count } : After(before, part, place, end));
        }
    }

    private static AppendProgress After(AppendProgress before, AppendProgress part, int place, int end) => new()
    {
        Next = end,
        Count = before.Count + part.Count,
        HeldOutCount = before.HeldOutCount + part.HeldOutCount,
        SkippedCount = before.SkippedCount + part.SkippedCount,
        Skipped = [.. before.Skipped.Concat(part.Skipped.Select(bad => bad with { Index = place + bad.Index })).Take(ImageStream.MaxListed)],
    };
}
