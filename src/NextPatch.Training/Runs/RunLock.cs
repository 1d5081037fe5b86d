using System.Globalization;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;

namespace NextPatch.Training.Runs;

/// <summary>
/// Keeps a second run out of a folder. A lock of the operating system on the file <c>.lock</c>, so it ends with its process however
/// that ends; <c>.lock-owner</c> beside it only tells people who holds it.
/// </summary>
internal sealed class RunLock : IDisposable
{
    private readonly FileStream _file;

    private RunLock(FileStream file) => _file = file;

    /// <exception cref="NextPatchException">Another run holds the folder.</exception>
    public static RunLock Take(string run)
    {
        FileStream file;
        try
        {
            file = new FileStream(Path.Combine(run, ".lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when (IsHeld(e))
        {
            throw new NextPatchException($"{run} is in use by another run ({Owner(run)}). Wait for it, stop it, or choose another --output.", e);
        }

        try
        {
            var since = DateTime.UtcNow.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);
            File.WriteAllText(OwnerFile(run), $"process {Environment.ProcessId} on {Environment.MachineName} since {since} UTC\n");
        }
        catch (Exception e) when (DiskTrouble.Is(e))
        {
            // The lock holds without a name.
        }

        return new RunLock(file);
    }

    /// <summary>Lets go. The file stays: deleting it could take the lock of a run that opened it meanwhile.</summary>
    public void Dispose() => _file.Dispose();

    private static string Owner(string run)
    {
        try
        {
            return File.ReadAllText(OwnerFile(run)).Trim() is { Length: > 0 } owner ? owner : "of unknown process";
        }
        catch (Exception e) when (DiskTrouble.Is(e))
        {
            return "of unknown process";
        }
    }

    private static string OwnerFile(string run) => Path.Combine(run, ".lock-owner");

    /// <summary>EWOULDBLOCK of Linux and macOS, ERROR_SHARING_VIOLATION of Windows.</summary>
    private static bool IsHeld(IOException e) => e.HResult is 11 or 35 or unchecked((int)0x80070020);
}
