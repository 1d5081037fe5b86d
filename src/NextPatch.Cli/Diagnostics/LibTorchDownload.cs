using System.ComponentModel;
using System.Diagnostics;
using NextPatch.Core;
using NextPatch.Torch.Loading;

namespace NextPatch.Cli.Diagnostics;

/// <summary>
/// Fetches libtorch as the build of a program does that references NextPatch.Torch: NuGet restores a small project (LibTorch.proj, beside the tool)
/// from the user's own sources, and its files are linked or copied into the user's folder.
/// </summary>
internal static class LibTorchDownload
{
    private const string Project = "LibTorch.proj";

    /// <param name="say">Takes what a person should read.</param>
    /// <param name="cancellation">Ends NuGet too.</param>
    /// <exception cref="NextPatchException">There is no .NET SDK, NuGet failed, or this program carries no such project.</exception>
    public static async Task RunAsync(Action<string> say, CancellationToken cancellation)
    {
        try
        {
            NativeBackend.EnsureLoaded();
            say($"libtorch is there already, in {NativeBackend.LoadedFrom}.");
            return;
        }
        catch (LibTorchNotFoundException)
        {
            // What this is for.
        }

        var project = Path.Combine(AppContext.BaseDirectory, "get-libtorch", Project);
        if (!File.Exists(project))
        {
            throw new NextPatchException(
                $"'{project}' is missing: only the tool carries it ('dotnet tool install NextPatch.Cli'). A checkout gets libtorch by 'dotnet "
                    + $"build -c Release'.");
        }

        var folder = NativeBackend.UserFolder;
        say($"Fetching libtorch for {NativeBackend.Rid} into {folder}; its package has about 130 MB.");
        await BuildAsync(project, folder, say, cancellation);
        say("Done.");
    }

    private static async Task BuildAsync(string project, string folder, Action<string> say, CancellationToken cancellation)
    {
        // Beside the final folder: a rename makes it whole or absent, and restore's own files lie where they may.
        var work = $"{folder}.{Environment.ProcessId}";
        var placed = Path.Combine(work, "placed");
        try
        {
            Directory.CreateDirectory(work);
            await RunDotnetAsync(
                [
                    "msbuild", project, "-restore", "-t:Place", "-nologo", "-v:quiet", "-noAutoResponse",
                    $"-p:NextPatchRid={NativeBackend.Rid}", $"-p:Destination={placed}",
                    $"-p:MSBuildProjectExtensionsPath={work}/obj/", $"-p:RestoreRootConfigDirectory={Environment.CurrentDirectory}",
                ],
                work, say, cancellation);
            if (!Directory.Exists(folder))
            {
                Directory.Move(placed, folder);
            }
        }
        finally
        {
            if (Directory.Exists(work))
            {
                Directory.Delete(work, recursive: true);
            }
        }
    }

    private static async Task RunDotnetAsync(string[] arguments, string folder, Action<string> say, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", arguments)
        {
            WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        try
        {
            using var dotnet = Process.Start(start)!;
            using var ended = cancellation.Register(() => dotnet.Kill(entireProcessTree: true));
            dotnet.OutputDataReceived += Say;
            dotnet.ErrorDataReceived += Say;
            dotnet.BeginOutputReadLine();
            dotnet.BeginErrorReadLine();
            await dotnet.WaitForExitAsync(CancellationToken.None);
            cancellation.ThrowIfCancellationRequested();
            if (dotnet.ExitCode != 0)
            {
                throw new NextPatchException(
                    "NuGet could not fetch libtorch; its own words stand above. Its sources are those of 'dotnet nuget list source'.");
            }
        }
        catch (Win32Exception e)
        {
            throw new NextPatchException($"The .NET SDK is needed to fetch libtorch, and '{start.FileName}' does not run: {e.Message}", e);
        }

        void Say(object sender, DataReceivedEventArgs line)
        {
            if (line.Data is { Length: > 0 } text)
            {
                say(text);
            }
        }
    }
}
