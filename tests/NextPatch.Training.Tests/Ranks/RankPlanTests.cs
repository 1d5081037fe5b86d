using NextPatch.Core.Configuration;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using NextPatch.Training.Gpt;
using NextPatch.Training.Ranks;
using NextPatch.Training.Tests.Gpt;
using static TorchSharp.torch;

namespace NextPatch.Training.Tests.Ranks;

public sealed class RankPlanTests
{
    [Fact]
    public void The_slices_of_ranks_are_the_micro_batches_of_one()
    {
        var training = TinyRun.Training with { BatchSize = 23, MicroBatch = 3, CoarseBatch = CoarseBatch.Flops };
        GptStepPart[] parts = [new(2, 7), new(1, 16)];
        var whole = Images(MicroBatch.Slice(training, 100, parts, 0, 1)).ToArray();
        Assert.Equal(Enumerable.Range(100, 23), whole.Select(i => (int)i.Place));
        for (var size = 2; size <= 23; size++)
        {
            var slices = Enumerable.Range(0, size).Select(rank => MicroBatch.Slice(training, 100, parts, rank, size)).ToArray();
            Assert.Equal(whole.ToHashSet(), slices.SelectMany(Images).ToHashSet());
            Assert.Equal(whole.Length, slices.Sum(s => Images(s).Count()));
            var counts = slices.Select(s => Images(s).Count(i => i.Side == 1)).ToArray();
            Assert.InRange(counts.Max() - counts.Min(), 0, 1);
        }

        static IEnumerable<(long Place, int Side, int Index, int Image)> Images(IEnumerable<MicroBatch> slice)
            => slice.SelectMany(m => Enumerable.Range(0, m.Count).Select(i => (m.Place + i, m.PatchSide, m.Index, m.FirstImage + i)));
    }

    [Fact]
    public void Every_element_is_remembered_by_one_rank()
    {
        NativeBackend.EnsureLoaded();
        using var model = new GptModel(TinyRun.Model);
        var parameters = model.named_parameters().Select(p => (p.name, p.parameter)).ToArray();
        var parts = LocalRanks.Run(3, ranks =>
        {
            using var shards = new ShardedParameters(ranks, parameters, new Dictionary<string, Tensor>(), hasAverage: true, asBf16: false, 500);
            return shards.Parts;
        });
        foreach (var (name, parameter) in parameters)
        {
            var own = parts.Select(p => p[name]).Where(p => p.FirstMoments.Length > 0).OrderBy(p => p.Start).ToArray();
            var end = 0;
            Assert.All(own, p => Assert.Equal((end, end += p.FirstMoments.Length), (p.Start, p.Start + p.SecondMoments.Length)));
            Assert.Equal(parameter.NumberOfElements, end);
        }

        var total = parameters.Sum(p => p.parameter.NumberOfElements);
        Assert.All(parts, p => Assert.InRange(p.Values.Sum(v => v.Average.Length), total / 3 * 0.8, total / 3 * 1.2));
    }

    [Theory]
    [InlineData("OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK=2 SLURM_STEP_NUM_TASKS=9", "mpirun of Open MPI", 4, 2)]
    [InlineData("PMI_SIZE=2 PMI_RANK=1", "mpiexec of MPICH", 2, 1)]
    [InlineData("SLURM_STEP_NUM_TASKS=8 SLURM_PROCID=7 SLURM_NTASKS=8", "srun", 8, 7)]
    public void Launchers_are_known_by_their_variables(string variables, string launcher, int size, int rank)
    {
        var found = LaunchEnvironment.Read(Variables(variables))!;
        Assert.Equal((launcher, size, (int?)rank), (found.Launcher, found.Size, found.Rank));
    }

    /// <summary>A batch script of SLURM is one process, whatever the job has.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("SLURM_NTASKS=8 SLURM_PROCID=0")]
    [InlineData("OMPI_COMM_WORLD_SIZE=many")]
    public void A_process_by_itself_is_known(string variables) => Assert.Null(LaunchEnvironment.Read(Variables(variables)));

    [Theory]
    [InlineData("OMP_NUM_THREADS=3 SLURM_CPUS_PER_TASK=5", 2, 16, 16, 3)]
    [InlineData("SLURM_CPUS_PER_TASK=5", 2, 16, 16, 5)]
    [InlineData("", 4, 16, 16, 4)]
    [InlineData("", 4, 6, 16, 6)] // bound to six by the launcher
    [InlineData("", 4, 2, 2, 1)]
    [InlineData("OMP_NUM_THREADS=0", 1, 8, 8, 8)]
    public void Ranks_of_a_machine_share_its_processors(string variables, int localSize, int allowed, int installed, int expected)
        => Assert.Equal(expected, LaunchEnvironment.ThreadsFor(Variables(variables), localSize, allowed, installed));

    private static Func<string, string?> Variables(string text) => name
        => text.Split(' ').FirstOrDefault(v => v.StartsWith(name + "=", StringComparison.Ordinal))?[(name.Length + 1)..];
}
