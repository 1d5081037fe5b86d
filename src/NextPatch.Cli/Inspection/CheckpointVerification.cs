using NextPatch.Core;
using NextPatch.Core.Checkpoints;

namespace NextPatch.Cli.Inspection;

/// <summary>What comparing a checkpoint with its sums found.</summary>
/// <param name="Path">Its folder.</param>
/// <param name="HasSums">False: it is from before there were any, so only names, lengths and headers were checked.</param>
/// <param name="Problem">What is wrong; null = it is whole.</param>
internal sealed record CheckpointVerification(string Path, bool HasSums, string? Problem)
{
    /// <summary>Reads every file of a checkpoint, or of all checkpoints of a run, oldest first.</summary>
    /// <exception cref="NextPatchException">The path is neither.</exception>
    public static IReadOnlyList<CheckpointVerification> Verify(string path)
    {
        string[] folders = [.. new CheckpointFolder(path).All().Select(name => System.IO.Path.Combine(path, name))];
        if (folders.Length == 0 && (HasFile(path, CheckpointSums.FileName) || HasFile(path, "state.json")))
        {
            folders = [path];
        }

        return folders.Length > 0
            ? [.. folders.Select(
                folder => new CheckpointVerification(folder, HasFile(folder, CheckpointSums.FileName), CheckpointSums.ProblemOf(folder)))]
            : throw new NextPatchException(
                $"'{path}' is neither a run (a folder with step-... folders) nor a checkpoint of one (a folder with {CheckpointSums.FileName}); "
                + $"only those can be verified.");
    }

    private static bool HasFile(string folder, string name) => File.Exists(System.IO.Path.Combine(folder, name));
}
