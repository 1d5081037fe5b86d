using System.Globalization;

namespace NextPatch.Training.Ranks;

/// <summary>What the program that started this process says of its ranks, in the environment.</summary>
/// <param name="Launcher">Who says it: "mpirun of Open MPI".</param>
/// <param name="Size">Processes that were started together.</param>
/// <param name="Rank">Which of them this is; null where it is not said.</param>
/// <param name="Libraries">Names under which its MPI library is likely to be found.</param>
internal sealed record LaunchEnvironment(string Launcher, int Size, int? Rank, IReadOnlyList<string> Libraries)
{
    private static readonly string[] OpenMpi = ["libmpi.so.40", "libmpi.40.dylib", "libmpi.dylib"];
    private static readonly string[] Mpich = ["libmpich.so.12", "libmpi.so.12", "libmpi.12.dylib"];
    private static readonly string[] Standard = ["libmpi_abi.so.0", "libmpi_abi.so", "libmpi.so"];

    /// <summary>Every name, in the order in which they are tried where nothing says which.</summary>
    public static IReadOnlyList<string> AllLibraries => [.. OpenMpi, .. Mpich, .. Standard];

    /// <param name="get">Reads a variable.</param>
    /// <returns>Null where the process was started alone.</returns>
    public static LaunchEnvironment? Read(Func<string, string?> get)
    {
        int? Number(string name) => int.TryParse(get(name), NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : null;
        LaunchEnvironment? At(string launcher, string size, string rank, string[] libraries)
            => Number(size) is { } count ? new(launcher, count, Number(rank), [.. libraries, .. AllLibraries]) : null;
        // SLURM's are last: mpirun inside a job sees them too. Its variables of steps are not there in a batch script, which is one process.
        return At("mpirun of Open MPI", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", OpenMpi)
            ?? At("mpiexec of MPICH", "PMI_SIZE", "PMI_RANK", Mpich)
            ?? At("srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", []);
    }

    /// <summary>
    /// Threads for this rank: what the environment gives, else the processors it may use, shared with the ranks beside it where they may all use
    /// all of them.
    /// </summary>
    /// <param name="get">Reads a variable.</param>
    /// <param name="localSize">Ranks on this machine.</param>
    /// <param name="allowed">Processors that this process may use.</param>
    /// <param name="installed">Processors of the machine.</param>
    public static int ThreadsFor(Func<string, string?> get, int localSize, int allowed, int installed)
    {
        foreach (var name in (string[])["OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"])
        {
            if (int.TryParse(get(name), NumberStyles.None, CultureInfo.InvariantCulture, out var given) && given > 0)
            {
                return given;
            }
        }

        return allowed < installed ? allowed : Math.Max(1, installed / Math.Max(1, localSize));
    }
}
