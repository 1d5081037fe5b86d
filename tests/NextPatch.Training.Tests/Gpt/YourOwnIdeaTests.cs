using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Torch.Patches;
using NextPatch.Training.Gpt;
using static TorchSharp.torch;

namespace NextPatch.Training.Tests.Gpt;

/// <summary>The class and the lines of <c>docs/guide/your-own-idea.md</c>, with a smaller run. Change both together.</summary>
[NoTensorLeaks]
public sealed class YourOwnIdeaTests
{
    [Fact]
    public void A_grouping_of_ones_own_trains_and_gives_other_results_than_the_mean()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        PatchGroupings.Register("soft-max", geometry => new SoftMaxGrouping(geometry));

        TrainingResult Train(string grouping) => GptTraining.Run(new()
        {
            Codes = codes, Model = TinyRun.Model, Run = new() { Output = folder[grouping] },
            Training = TinyRun.Training with { Steps = 40, Grouping = grouping, StepImplementation = StepImplementation.Reference },
        });

        var (own, mean) = (Train("soft-max"), Train("mean"));
        Assert.True(own.ValidationLoss < 2.2, $"held-out loss {own.ValidationLoss}, log(12) = 2.48 at the start");
        Assert.NotEqual(mean.ValidationLoss, own.ValidationLoss);
        Assert.NotEqual(TinyRun.Weights(mean.Checkpoint!), TinyRun.Weights(own.Checkpoint!));
    }

    /// <summary>Between mean and maximum: log(mean(exp(e))), element by element.</summary>
    private sealed class SoftMaxGrouping(PatchGeometry geometry) : IPatchGrouping
    {
        public PatchGeometry Geometry => geometry;

        public Tensor Group(Tensor embeddings)
        {
            using var scope = NewDisposeScope();
            return IPatchGrouping.ByPatch(embeddings, geometry)      // [B, N, P, C]
                .logsumexp(2).sub(Math.Log(geometry.CodesPerPatch))  // [B, N, C]
                .MoveToOuterDisposeScope();
        }
    }
}
