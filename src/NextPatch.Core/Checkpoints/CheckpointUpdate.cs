using System.Text;
using NextPatch.Core.Files;

namespace NextPatch.Core.Checkpoints;

/// <summary>
/// Replaces a small file of a checkpoint that is written already. The new file and then the new sums are put beside their places first, so that
/// after a kill at any moment <see cref="Finish"/> makes the checkpoint whole again: the old one or the new one.
/// </summary>
internal static class CheckpointUpdate
{
    private const string Next = ".next";

    /// <param name="checkpoint">Its folder; the run must be locked.</param>
    /// <param name="name">A file in it, not the weights: it is held in memory.</param>
    /// <param name="text">The new content.</param>
    public static void Replace(string checkpoint, string name, string text)
    {
        var sums = Path.Combine(checkpoint, CheckpointSums.FileName);
        var (file, next) = (Path.Combine(checkpoint, name), Path.Combine(checkpoint, name + Next));
        try
        {
            AtomicFile.WriteFlushed(next, stream => stream.Write(Encoding.UTF8.GetBytes(text)));
            if (File.Exists(sums))
            {
                var lines = File.ReadAllLines(sums).Select(line => line.EndsWith("  " + name, StringComparison.Ordinal)
                    ? $"{FileHash.Compute(next)}  {name}"
                    : line);
                AtomicFile.WriteText(sums, string.Concat(lines.Select(line => line + "\n")), sums + Next);
            }

            File.Move(next, file, overwrite: true);
        }
        catch
        {
            Finish(checkpoint);
            throw;
        }
    }

    /// <summary>Ends what a kill interrupted.</summary>
    public static void Finish(string checkpoint)
    {
        File.Delete(Path.Combine(checkpoint, CheckpointSums.FileName + Next));
        foreach (var next in Directory.GetFiles(checkpoint, "*" + Next))
        {
            var file = next[..^Next.Length];
            var isExpected = File.Exists(Path.Combine(checkpoint, CheckpointSums.FileName))
                && File.ReadLines(Path.Combine(checkpoint, CheckpointSums.FileName)).Contains($"{FileHash.Compute(next)}  {Path.GetFileName(file)}");
            if (isExpected)
            {
                File.Move(next, file, overwrite: true);
            }
            else
            {
                File.Delete(next);
            }
        }
    }
}
