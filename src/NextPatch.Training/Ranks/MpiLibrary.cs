using System.Runtime.InteropServices;
using System.Text;
using NextPatch.Core;

namespace NextPatch.Training.Ranks;

/// <summary>
/// The few functions of an MPI library that runs need. Handles are passed as native integers: addresses in Open MPI and the standard ABI of MPI 5,
/// 32-bit constants in MPICH and what descends from it, which reads the lower half of the register. Only bytes are moved, so one datatype is enough.
/// </summary>
/// <remarks>Constants: mpi.h of Open MPI 4 and MPICH 4; MPI 5.0 standard ABI (mpi-forum.org), which is untested.</remarks>
internal sealed unsafe class MpiLibrary
{
    private const int Funneled = 1; // MPI_THREAD_FUNNELED: the thread that initialises makes all calls
    private const int FunneledOfAbi = 1024;
    private const int LongestVersion = 8192;
    private static readonly string[] MpichNames = ["MPICH", "Intel", "MVAPICH"];

    private readonly delegate* unmanaged[Cdecl]<nint, nint, int, int*, int> _initThread;
    private readonly delegate* unmanaged[Cdecl]<nint, int*, int> _rank, _size;
    private readonly delegate* unmanaged[Cdecl]<nint, int, nint, nint, int, nint, nint, nint*, int> _allToAll, _allGather;
    private readonly delegate* unmanaged[Cdecl]<nint, int, nint, nint, int, nint, int, nint, nint*, int> _gather;
    private readonly delegate* unmanaged[Cdecl]<nint, int, nint, int, nint, nint*, int> _broadcast;
    private readonly delegate* unmanaged[Cdecl]<nint, int, nint, int, int, nint, nint*, int> _send, _receive;
    private readonly delegate* unmanaged[Cdecl]<nint*, int*, nint, int> _test;
    private readonly delegate* unmanaged[Cdecl]<nint, int, int> _abort;
    private readonly delegate* unmanaged[Cdecl]<int> _finalize;
    private readonly nint _world, _byte, _ignoreStatus;
    private readonly int _threadLevel;

    private MpiLibrary(string path, nint library)
    {
        nint Function(string name) => NativeLibrary.GetExport(library, name);
        Path = path;
        Version = VersionOf(library);
        (_world, _byte, _ignoreStatus, _threadLevel) = HasStandardAbi(library) ? (0x101, 0x247, 0, FunneledOfAbi)
            : Version.Contains("Open MPI", StringComparison.Ordinal) ? (Function("ompi_mpi_comm_world"), Function("ompi_mpi_byte"), 0, Funneled)
            : DescendsFromMpich(Version) ? (0x44000000, 0x4c00010d, 1, Funneled)
            : throw Unusable(path, $"It calls itself '{Version}'; known are Open MPI, MPICH, its descendants, and the standard ABI of MPI 5.", null);
        _initThread = (delegate* unmanaged[Cdecl]<nint, nint, int, int*, int>)Function("MPI_Init_thread");
        _rank = (delegate* unmanaged[Cdecl]<nint, int*, int>)Function("MPI_Comm_rank");
        _size = (delegate* unmanaged[Cdecl]<nint, int*, int>)Function("MPI_Comm_size");
        _allToAll = (delegate* unmanaged[Cdecl]<nint, int, nint, nint, int, nint, nint, nint*, int>)Function("MPI_Ialltoall");
        _allGather = (delegate* unmanaged[Cdecl]<nint, int, nint, nint, int, nint, nint, nint*, int>)Function("MPI_Iallgather");
        _gather = (delegate* unmanaged[Cdecl]<nint, int, nint, nint, int, nint, int, nint, nint*, int>)Function("MPI_Igather");
        _broadcast = (delegate* unmanaged[Cdecl]<nint, int, nint, int, nint, nint*, int>)Function("MPI_Ibcast");
        _send = (delegate* unmanaged[Cdecl]<nint, int, nint, int, int, nint, nint*, int>)Function("MPI_Isend");
        _receive = (delegate* unmanaged[Cdecl]<nint, int, nint, int, int, nint, nint*, int>)Function("MPI_Irecv");
        _test = (delegate* unmanaged[Cdecl]<nint*, int*, nint, int>)Function("MPI_Test");
        _abort = (delegate* unmanaged[Cdecl]<nint, int, int>)Function("MPI_Abort");
        _finalize = (delegate* unmanaged[Cdecl]<int>)Function("MPI_Finalize");
    }

    /// <summary>The file's name or path.</summary>
    public string Path { get; }

    /// <summary>What it says of itself, a line.</summary>
    public string Version { get; }

    /// <summary>Loads a library.</summary>
    /// <param name="path">Its file; null: the first of <paramref name="names"/> that the system finds.</param>
    /// <param name="names">Names to try.</param>
    /// <returns>Null where none is found and no path is given.</returns>
    /// <exception cref="NextPatchException">It cannot be loaded, or is no MPI that is known.</exception>
    public static MpiLibrary? Load(string? path, IEnumerable<string> names)
    {
        try
        {
            if (path is not null)
            {
                return new MpiLibrary(path, NativeLibrary.Load(System.IO.Path.GetFullPath(path)));
            }

            foreach (var name in names)
            {
                if (NativeLibrary.TryLoad(name, out var library))
                {
                    return new MpiLibrary(name, library);
                }
            }
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException or EntryPointNotFoundException)
        {
            throw Unusable(path ?? "The MPI library", e.Message.Trim(), e);
        }

        return null;
    }

    public void Initialize()
    {
        int provided;
        Check(_initThread(0, 0, _threadLevel, &provided), "MPI_Init_thread");
    }

    public int Rank()
    {
        int rank;
        Check(_rank(_world, &rank), "MPI_Comm_rank");
        return rank;
    }

    public int Size()
    {
        int size;
        Check(_size(_world, &size), "MPI_Comm_size");
        return size;
    }

    /// <summary>Starts a transfer; gives its request.</summary>
    public nint Start(Transfer t)
    {
        nint request = 0;
        Check(t.Kind switch
        {
            TransferKind.AllToAll => _allToAll(t.Send, t.Bytes, _byte, t.Receive, t.Bytes, _byte, _world, &request),
            TransferKind.AllGather => _allGather(t.Send, t.Bytes, _byte, t.Receive, t.Bytes, _byte, _world, &request),
            TransferKind.Gather => _gather(t.Send, t.Bytes, _byte, t.Receive, t.Bytes, _byte, 0, _world, &request),
            _ => _broadcast(t.Receive, t.Bytes, _byte, 0, _world, &request),
        }, t.Kind.ToString());
        return request;
    }

    public nint StartSend(nint from, int bytes, int toRank, int tag)
    {
        nint request = 0;
        Check(_send(from, bytes, _byte, toRank, tag, _world, &request), "MPI_Isend");
        return request;
    }

    public nint StartReceive(nint to, int bytes, int fromRank, int tag)
    {
        nint request = 0;
        Check(_receive(to, bytes, _byte, fromRank, tag, _world, &request), "MPI_Irecv");
        return request;
    }

    /// <summary>Whether what a request stands for is done; moves all transfers on.</summary>
    public bool IsDone(ref nint request)
    {
        int flag;
        fixed (nint* address = &request)
        {
            Check(_test(address, &flag, _ignoreStatus), "MPI_Test");
        }

        return flag != 0;
    }

    public void Abort(int exitCode) => _ = _abort(_world, exitCode);

    public void Shutdown() => _ = _finalize();

    private static NextPatchException Unusable(string library, string why, Exception? cause)
        => new($"{library} cannot be used: {why} Name the library (libmpi.so or the like) with MpiLibrary.", cause!) { Settings = ["MpiLibrary"] };

    private static bool DescendsFromMpich(string version)
        => MpichNames.Any(name => version.Contains(name, StringComparison.OrdinalIgnoreCase));

    /// <summary>Libraries of another ABI that know the function answer -1.</summary>
    private static bool HasStandardAbi(nint library)
    {
        int major, minor;
        return NativeLibrary.TryGetExport(library, "MPI_Abi_get_version", out var function)
            && ((delegate* unmanaged[Cdecl]<int*, int*, int>)function)(&major, &minor) == 0 && major >= 1;
    }

    /// <summary>May be asked before the library is initialised.</summary>
    private static string VersionOf(nint library)
    {
        var text = new byte[LongestVersion];
        var length = 0;
        fixed (byte* address = text)
        {
            ((delegate* unmanaged[Cdecl]<byte*, int*, int>)NativeLibrary.GetExport(library, "MPI_Get_library_version"))(address, &length);
        }

        return string.Join(' ', Encoding.UTF8.GetString(text, 0, Math.Clamp(length, 0, text.Length)).Split('\n', '\0')[0].Split(
            (char[]?)null, StringSplitOptions.RemoveEmptyEntries)).Split(", ")[0];
    }

    private static void Check(int code, string function)
    {
        if (code != 0)
        {
            throw new RankFailureException($"{function} failed with code {code}.");
        }
    }
}
