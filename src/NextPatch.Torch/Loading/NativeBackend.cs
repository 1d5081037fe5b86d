using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Loader;
using NextPatch.Core;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Threading;

namespace NextPatch.Torch.Loading;

/// <summary>
/// Finds and loads libtorch from one folder per checkout or publish, before TorchSharp searches for it. TorchSharp's own
/// fallback copies half a gigabyte and ends in a message that names the wrong cause, so it is never reached.
/// </summary>
public static partial class NativeBackend
{
    /// <summary>Environment variable that names a folder with libtorch and LibTorchSharp; wins over every other place.</summary>
    public const string FolderVariable = "NEXTPATCH_LIBTORCH";

    private static readonly Lock Gate = new();
    private static Dictionary<string, nint>? _loaded;

    private static readonly string Rid = $"{OsName}-{RuntimeInformation.OSArchitecture.ToString().ToLowerInvariant()}";

    private static string OsName => OperatingSystem.IsWindows() ? "win" : OperatingSystem.IsMacOS() ? "osx" : "linux";

    /// <summary>The folders that are searched, in order.</summary>
    public static IReadOnlyList<string> SearchFolders
    {
        get
        {
            var folders = new List<string>();
            if (Environment.GetEnvironmentVariable(FolderVariable) is { Length: > 0 } named)
            {
                folders.Add(Path.GetFullPath(named));
            }

            // Beside a published program, and in artifacts/ above a built one (artifacts/bin/<project>/<configuration>).
            folders.Add(Path.Combine(AppContext.BaseDirectory, "libtorch", Rid));
            folders.Add(Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", "..", "..", "libtorch", Rid)));
            return folders;
        }
    }

    /// <summary>The folder libtorch was loaded from, or null before <see cref="EnsureLoaded"/>.</summary>
    public static string? LoadedFrom { get; private set; }

    /// <summary>Loads libtorch now.</summary>
    /// <exception cref="NextPatchException">It is missing or the system refuses it; the message has the system's own words.</exception>
    public static void EnsureLoaded()
    {
        lock (Gate)
        {
            _loaded ??= Load();
        }
    }

    // Only registers: nothing is loaded until TorchSharp is first used, so commands that need no tensor start fast.
#pragma warning disable CA2255 // A resolver must be in place before TorchSharp's static constructor runs, whoever calls it first.
    [ModuleInitializer]
    internal static void Register()
    {
        AssemblyLoadContext.Default.ResolvingUnmanagedDll += Resolve;
        AppDomain.CurrentDomain.AssemblyLoad += LoadBeforeTorchSharp;
    }
#pragma warning restore CA2255

    /// <summary>
    /// TorchSharp looks for libtorch by name, and <see cref="Resolve"/> is asked only where the system has none: that of a Linux distribution,
    /// of another version, would come first and end the process. A library that is loaded already is not searched for.
    /// </summary>
    private static void LoadBeforeTorchSharp(object? sender, AssemblyLoadEventArgs loaded)
    {
        if (loaded.LoadedAssembly.GetName().Name != "TorchSharp")
        {
            return;
        }

        try
        {
            EnsureLoaded();
        }
        catch (NextPatchException)
        {
            // Nobody listens here; whoever uses TorchSharp hears it.
        }
    }

    private static nint Resolve(Assembly assembly, string name)
    {
        if (assembly.GetName().Name != "TorchSharp")
        {
            return 0;
        }

        EnsureLoaded();
        return _loaded!.GetValueOrDefault(name);
    }

    private static Dictionary<string, nint> Load()
    {
        var (prefix, suffix) = OperatingSystem.IsWindows() ? ("", ".dll") : OperatingSystem.IsMacOS() ? ("lib", ".dylib") : ("lib", ".so");
        var folder = SearchFolders.FirstOrDefault(f => File.Exists(Path.Combine(f, $"{prefix}LibTorchSharp{suffix}")))
            ?? throw new NextPatchException(
                $"libtorch was not found. Searched: {string.Join(", ", SearchFolders)}. Build the solution once ('dotnet build -c Release') or set {FolderVariable} to a folder that holds libtorch and LibTorchSharp.");

        SetDefaults();
        var handles = new Dictionary<string, nint>();
        foreach (var name in (string[])["c10", "torch_cpu", "torch", "LibTorchSharp"])
        {
            var path = Path.Combine(folder, prefix + name + suffix);
            try
            {
                handles[name] = NativeLibrary.Load(path);
            }
            catch (DllNotFoundException e)
            {
                throw new NextPatchException($"The system refused to load {path}: {e.Message.Trim()} Run 'nextpatch doctor' for what to do.", e);
            }
        }

        ParallelRows.OpenMpParallel = Export("GOMP_parallel");
        ParallelRows.CountThreads = TorchSharp.torch.get_num_threads;
        Bf16GemmTiles.Brgemm = Export("_ZN2at6native7cpublas6brgemmEllllllbPKN3c108BFloat16ES5_Pfb");
        LoadedFrom = folder;
        return handles;

        nint Export(string name) => NativeLibrary.TryGetExport(handles["torch_cpu"], name, out var address) ? address : 0;
    }

    /// <summary>
    /// Two settings that libtorch reads when it is loaded, where nobody has chosen them. Its threads (GNU OpenMP) sleep after some microseconds of waiting
    /// instead of spinning for milliseconds: on an idle machine that makes no difference, where other processes want the cores a training step is two to
    /// three times as fast. And tensors of 2 MiB and more lie in huge pages: kernels that walk down columns miss fewer addresses (docs/log.md).
    /// </summary>
    private static void SetDefaults()
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        // The runtime's own environment is a copy that native libraries do not see.
        if (Environment.GetEnvironmentVariable("OMP_WAIT_POLICY") is null)
        {
            _ = SetEnvironment("GOMP_SPINCOUNT", "1000", overwrite: 0);
        }

        _ = SetEnvironment("THP_MEM_ALLOC_ENABLE", "1", overwrite: 0);
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnvironment(string name, string value, int overwrite);
}
