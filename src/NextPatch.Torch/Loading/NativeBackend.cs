using System.Diagnostics;
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

    private static string OsName => OperatingSystem.IsWindows() ? "win" : OperatingSystem.IsMacOS() ? "osx" : "linux";

    /// <summary>Written beside a program by its build: the folders of libtorch and of LibTorchSharp, one a line (docs/adr/0014).</summary>
    internal const string PathFile = "libtorch.path";

    /// <summary>The folders that are searched, in order.</summary>
    public static IReadOnlyList<string> SearchFolders => [.. Places().SelectMany(folders => folders)];

    /// <summary>
    /// Where libtorch lies for all programs of this user that do not bring it, in the version that this assembly was built for:
    /// <c>nextpatch/libtorch/VERSION/RID</c> in the user's folder for data (XDG_DATA_HOME, ~/.local/share; on Windows LocalApplicationData).
    /// </summary>
    public static string UserFolder => Path.Combine(
        Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify),
        "nextpatch", "libtorch", BuiltFor, Rid);

    /// <summary>"linux-x64" and the like: the packages of libtorch are named so.</summary>
    internal static string Rid { get; } = $"{OsName}-{RuntimeInformation.OSArchitecture.ToString().ToLowerInvariant()}";

    private static string BuiltFor
        => typeof(NativeBackend).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().First(a => a.Key == "LibTorchVersion").Value!;

    /// <summary>The folder that the environment names, and the lib/ in it, where PyTorch's distributions keep libraries; or none.</summary>
    private static string[] NamedFolders
        => Environment.GetEnvironmentVariable(FolderVariable) is { Length: > 0 } named
            ? [Path.GetFullPath(named), Path.Combine(Path.GetFullPath(named), "lib")]
            : [];

    /// <summary>The places that are searched, in order: what lies together in one folder, or in two.</summary>
    private static IEnumerable<string[]> Places()
        // What PyTorch offers brings no LibTorchSharp.
        => NamedFolders is { Length: > 0 } named ? [[.. named, .. OwnPlaces().SelectMany(place => place)]] : OwnPlaces();

    private static IEnumerable<string[]> OwnPlaces()
    {
        // Beside a published program, and in artifacts/ above a built one (artifacts/bin/<project>/<configuration>).
        yield return [Path.Combine(AppContext.BaseDirectory, "libtorch", Rid)];
        yield return [Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", "..", "..", "libtorch", Rid))];
        var file = Path.Combine(AppContext.BaseDirectory, PathFile);
        if (File.Exists(file))
        {
            yield return File.ReadAllLines(file);
        }

        yield return [UserFolder];
    }

    /// <summary>The folder libtorch was loaded from, or null before <see cref="EnsureLoaded"/>.</summary>
    public static string? LoadedFrom { get; private set; }

    /// <summary>Whether it is the one for CUDA devices; false before <see cref="EnsureLoaded"/>.</summary>
    internal static bool HasCuda => _loaded?.ContainsKey("torch_cuda") == true;

    /// <summary>Files of libtorch for CUDA in the folder that libtorch was loaded from, by name; none before <see cref="EnsureLoaded"/>.</summary>
    internal static IReadOnlyList<string> CudaLibraries => LoadedFrom is null ? []
        : [.. Directory.EnumerateFiles(LoadedFrom).Select(f => Path.GetFileName(f)).Where(
            f => f.Contains("cuda", StringComparison.OrdinalIgnoreCase) || f.Contains("cudnn", StringComparison.OrdinalIgnoreCase)
                || f.Contains("cublas", StringComparison.OrdinalIgnoreCase)).Order(StringComparer.Ordinal)];

    /// <summary>Loads libtorch now.</summary>
    /// <exception cref="NextPatchException">
    /// It is missing or the system refuses it (the message has the system's own words), or the program runs another TorchSharp than ours.
    /// </exception>
    public static void EnsureLoaded()
    {
        lock (Gate)
        {
            if (_loaded is null)
            {
                RefuseOptimizedTorchSharp(); // may load TorchSharp, hence all this
                _loaded ??= Load();
            }
        }
    }

    /// <summary>The name of a module, once libtorch is loaded: the argument of a base constructor runs before anything that needs it.</summary>
    internal static string LoadedFor(string module)
    {
        EnsureLoaded();
        return module;
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
            // There is no caller to tell here; the first use of TorchSharp throws it again.
        }
    }

    /// <summary>
    /// Optimised, TorchSharp lets libtorch read numbers that the garbage collector has freed (docs/adr/0009). Touches no type of it: another version
    /// would fail to bind.
    /// </summary>
    private static void RefuseOptimizedTorchSharp()
    {
        var assembly = Assembly.Load("TorchSharp");
        if (assembly.GetCustomAttribute<DebuggableAttribute>() is not { IsJITOptimizerDisabled: true })
        {
            throw new NextPatchException(
                $"The program runs TorchSharp {assembly.GetName().Version} from '{assembly.Location}', which fails now and then while garbage is "
                + "collected, instead of the copy that NextPatch.Torch brings. Remove the program's own reference to TorchSharp.");
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
        if (NamedFolders is [var folder, ..] named && Find(named, "torch_cpu") is null)
        {
            throw new NextPatchException(
                $"{FolderVariable} names '{folder}', which {(Directory.Exists(folder) ? $"holds no {prefix}torch_cpu{suffix}" : "does not exist")}; "
                + $"name a folder with libtorch {BuiltFor}, or unset it.");
        }

        var place = Places().FirstOrDefault(folders => Find(folders, "LibTorchSharp") is not null && Find(folders, "torch_cpu") is not null)
            ?? throw new LibTorchNotFoundException(
                $"libtorch was not found. Searched: {string.Join(", ", SearchFolders)}. A program that references the package NextPatch.Torch gets "
                    + $"it when "
                + $"it is built, the checkout by 'dotnet build -c Release'; else set {FolderVariable} to a folder that holds libtorch and "
                    + $"LibTorchSharp.");
        var library = Find(place, "torch_cpu")!;
        RequireVersion(library);
        LoadedFrom = Path.GetDirectoryName(library)!;
        SetDefaults();
        var handles = new Dictionary<string, nint>();
        foreach (var name in (string[])["c10", "torch_cpu", "c10_cuda", "torch_cuda", "torch", "LibTorchSharp"])
        {
            if (Find(name.EndsWith("_cuda", StringComparison.Ordinal) ? [LoadedFrom] : place, name) is not { } path)
            {
                continue; // of libtorch for CUDA alone
            }

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
        return handles;

        string? Find(string[] folders, string name)
            => folders.Select(folder => Path.Combine(folder, prefix + name + suffix)).FirstOrDefault(File.Exists);

        nint Export(string name) => NativeLibrary.TryGetExport(handles["torch_cpu"], name, out var address) ? address : 0;
    }

    /// <summary>Another version of libtorch has another interface: LibTorchSharp would not load, or end the process.</summary>
    private static void RequireVersion(string library)
    {
        var folder = Path.GetDirectoryName(library)!;
        // PyTorch's own distributions name their version beside lib/: 2.10.0+cu128. Those of Linux have it in the name of the file.
        var named = ((string[])[Path.Combine(folder, "build-version"), Path.Combine(folder, "..", "build-version")])
            .Where(File.Exists).Select(file => File.ReadLines(file).FirstOrDefault()?.Trim()).FirstOrDefault(version => version is not null);
        var linked = File.ResolveLinkTarget(library, returnFinalTarget: true)?.Name.Split(".so.") is [_, var ending] ? ending : null;
        if ((named ?? linked) is { } version && version.Split('+')[0] != BuiltFor)
        {
            throw new NextPatchException(
                $"{folder} holds libtorch {version}, but this program needs {BuiltFor}; set {FolderVariable} to a folder with that version.");
        }
    }

    /// <summary>
    /// Two settings that libtorch reads when it is loaded, unless the environment sets them. Its threads (GNU OpenMP) sleep after some microseconds
    /// of waiting instead of spinning for milliseconds: on an idle machine that makes no difference, where other processes want the cores a training
    /// step is two to three times as fast. And tensors of 2 MiB and more lie in huge pages: kernels that walk down columns miss fewer addresses
    /// (docs/log.md).
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

/// <summary>libtorch lies in none of the folders that were searched; the message names them.</summary>
internal sealed class LibTorchNotFoundException(string message) : NextPatchException(message);
