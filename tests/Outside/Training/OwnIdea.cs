using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Torch.Patches;
using NextPatch.Training;
using static TorchSharp.torch;

/// <summary>The C# lines of docs/guide/your-own-idea.md, compiled and not run. ReadmeSnippetTests compares them.</summary>
internal static class OwnIdea
{
    public static void Train()
    {
        PatchGroupings.Register("soft-max", geometry => new SoftMaxGrouping(geometry));

        var (model, training) = TrainingRecipes.Get("cpu", GptPresets.Get("small"));
        var result = GptTraining.Run(new()
        {
            Codes = "quickstart/codes", Model = model, Run = new() { Output = "runs/soft-max" },
            Training = training with { Steps = 400, Grouping = "soft-max", StepImplementation = StepImplementation.Reference },
        });
        Console.WriteLine(result.ValidationLoss);
    }
}

sealed class SoftMaxGrouping(PatchGeometry geometry) : IPatchGrouping
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
