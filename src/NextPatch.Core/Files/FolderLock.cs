using System.Globalization;

namespace NextPatch.Core.Files;

/// <summary>
/// Keeps a second run out of a folder. A lock of the operating system on a file, so it ends with its process however that ends; a file
/// <c>-owner</c> beside it only tells people who holds it.
/// </summary>
internal sealed class FolderLock : IDisposable
{
    private readonly FileStream _file;
    private readonly bool _leavesNothing;

    private FolderLock(FileStream file, bool leavesNothing) => (_file, _leavesNothing) = (file, leavesNothing);

    /// <param name="folder">Exists.</param>
    /// <param name="name">Of the file that is locked.</param>
    /// <param name="leavesNothing">Both files go with the lock: for a folder that will be handed on.</param>
    /// <exception cref="NextPatchException">Another run holds the folder.</exception>
    /// <exception cref="IOException">The file cannot be opened for another reason.</exception>
    public static FolderLock Take(string folder, string name, bool leavesNothing = false)
    {
        var path = Path.Combine(folder, name);
        FileStream file;
        try
        {
            var options = leavesNothing ? FileOptions.DeleteOnClose : FileOptions.None;
            file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0, options);
        }
        catch (IOException e) when (IsHeld(e))
        {
            throw new NextPatchException($"{folder} is in use by another run ({Owner(path)}). Wait for it, stop it, or choose another Output.", e)
            { Settings = ["Output"] };
        }

        Try(() =>
        {
            var since = DateTime.UtcNow.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);
            File.WriteAllText(OwnerFile(path), $"process {Environment.ProcessId} on {Environment.MachineName} since {since} UTC\n");
        });
        return new FolderLock(file, leavesNothing);
    }

    /// <summary>Lets go. Where the file can stay it does: deleting it could take the lock of a run that opened it meanwhile.</summary>
    public void Dispose()
    {
        if (_leavesNothing)
        {
            Try(() => File.Delete(OwnerFile(_file.Name)));
        }

        _file.Dispose();
    }

    private static string Owner(string path)
    {
        var owner = "";
        Try(() => owner = File.ReadAllText(OwnerFile(path)).Trim());
        return owner.Length > 0 ? owner : "of unknown process";
    }

    private static string OwnerFile(string path) => path + "-owner";

    /// <summary>The lock holds without a name.</summary>
    private static void Try(Action action)
    {
        try
        {
            action();
        }
        catch (Exception e) when (DiskTrouble.Is(e))
        {
        }
    }

    /// <summary>EWOULDBLOCK of Linux and macOS, ERROR_SHARING_VIOLATION of Windows.</summary>
    private static bool IsHeld(IOException e) => e.HResult is 11 or 35 or unchecked((int)0x80070020);
}
