using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Rendering;
using NextPatch.Torch.Loading;
using NextPatch.Training.Ranks;
using TorchSharp;

namespace NextPatch.Cli.Training;

/// <summary>Options of a run on several processes, which <c>mpirun</c> or <c>srun</c> starts.</summary>
internal sealed class RankOptions
{
    private readonly Option<string?> _library = new("--mpi-library")
    {
        Description = "File of the MPI library (libmpi.so or the like). [default: that of the mpirun or srun which started the process]",
        HelpName = "path",
    };
    private readonly Option<string?> _gradients = CreateGradients("[default: fp32, or as the run began]");
    private readonly Option<int> _timeout = new Option<int>("--rank-timeout")
    {
        Description = "Seconds that a rank waits for another before all are ended.", HelpName = "s", DefaultValueFactory = _ => 600,
    }.Between(1, 604_800);

    /// <summary>The value of <see cref="CreateGradients"/> by which they are rounded.</summary>
    public const string Bf16 = "bf16";

    /// <param name="defaults">What is taken where it is not given.</param>
    public static Option<string?> CreateGradients(string defaults) => new Option<string?>("--gradient-dtype")
    {
        Description = $"Type in which gradients travel between ranks: bf16 is half the bytes; sums are fp32 either way. {defaults}",
        HelpName = $"fp32|{Bf16}",
    }.AcceptOnlyFromAmong("fp32", Bf16);

    public void AddTo(Command command)
    {
        command.Add(_library);
        command.Add(_gradients);
        command.Add(_timeout);
    }

    public bool? Bf16Gradients(ParseResult parsed) => parsed.GetValue(_gradients) is { } type ? type == Bf16 : null;

    /// <summary>Joins the ranks that were started with this one, and shares the machine's processors with those that run on it.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="progress">Is told who computes.</param>
    public ICommunicator Open(ParseResult parsed, ProgressReporter progress)
    {
        Func<string, string?> variable = Environment.GetEnvironmentVariable;
        var ranks = MpiCommunicator.Open(
            LaunchEnvironment.Read(variable), parsed.GetValue(_library), TimeSpan.FromSeconds(parsed.GetRequiredValue(_timeout)),
            lost => Console.Error.WriteLine(OptionNames.In(lost)));
        if (ranks is not MpiCommunicator mpi)
        {
            return ranks;
        }

        var placement = RankPlacement.Find(ranks);
        var threads = LaunchEnvironment.ThreadsFor(variable, placement.LocalSize, Environment.ProcessorCount, Installed());
        NativeBackend.EnsureLoaded();
        torch.set_num_threads(threads);
        progress.WriteLine(
            $"Ranks: {ranks.Size} on {placement.Machines} {(placement.Machines == 1 ? "machine" : "machines")}, "
            + $"{threads} {(threads == 1 ? "thread" : "threads")} each here, by {mpi.Version}.");
        return ranks;
    }

    /// <summary>Processors of the machine, of which this process may be allowed fewer.</summary>
    private static int Installed()
        => Directory.Exists("/sys/devices/system/cpu")
            ? Math.Max(1, Directory.EnumerateDirectories("/sys/devices/system/cpu", "cpu*").Count(d => int.TryParse(Path.GetFileName(d)[3..], out _)))
            : Environment.ProcessorCount;
}
