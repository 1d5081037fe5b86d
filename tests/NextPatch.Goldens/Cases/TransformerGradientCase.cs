using NextPatch.Core.Patches;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Gpt.Fused;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Patches;
using static TorchSharp.torch;

namespace NextPatch.Goldens.Cases;

/// <summary>Logits, loss, rotary table and the gradient of every parameter of a class-conditional transformer at every patch size.</summary>
internal static class TransformerGradientCase
{
    public const string GradientPrefix = "grad.";

    public static void Run(CaseRun run)
    {
        var golden = run.Golden;
        using var model = new GptModel(golden.Gpt());
        StateLoader.Load(model, golden.Weights(golden.FileEnding(".pt")), golden.FileEnding(".pt"));
        model.train();
        foreach (var size in golden.Config["patch_sizes"]!.AsArray())
        {
            using var scope = NewDisposeScope();
            Check(run, model, (int)size!);
        }
    }

    private static void Check(CaseRun run, GptModel model, int patchSize)
    {
        var golden = run.Golden;
        var input = golden.Arrays(golden.FileEnding(".in.npz"));
        var expected = golden.Arrays(golden.FileEnding($".p{patchSize}.npz"));
        var tolerances = golden.Entry["tolerance"]![$"patch_size_{patchSize}"]!;
        var config = model.Config;
        var labels = StateLoader.ToTensor(input["cond_idx"]);
        var codes = StateLoader.ToTensor(input["idx"]);
        var grouping = new MeanPatchGrouping(new PatchGeometry(config.GridSide, GoldenCase.SideOf(patchSize)));

        model.zero_grad();
        var hidden = model.PatchHidden(labels, codes, grouping);
        var (loss, gradient) = PatchLoss.Backward(hidden, model.Head, IPatchGrouping.ByPatch(codes, grouping.Geometry));
        hidden.backward([gradient]);
        run.Close($"p{patchSize} logits", nn.functional.linear(hidden.detach(), model.Head.detach()), expected["logits"],
            Tolerance.Parse(tolerances["logits"]));
        run.Close($"p{patchSize} loss", loss.reshape(1), expected["loss"], Tolerance.Parse(tolerances["loss"]));
        var table = RotaryEmbedding2d.Table(
            grouping.Geometry.PatchesPerSide, config.HeadWidth, (int)golden.Config["ModelArgs"]!["cls_token_num"]!, config.RopeBase);
        run.Close($"p{patchSize} freqs_cis", tensor(table, [table.Length / config.HeadWidth, config.HeadWidth / 2, 2]), expected["freqs_cis"],
            Tolerance.Parse(tolerances["freqs_cis"] ?? tolerances["logits"]));

        CheckGradients(run, model, $"p{patchSize}", expected, Tolerance.Parse(tolerances["grad"]));
        model.zero_grad();
        using var pass = new FusedGpt(model);
        pass.Forward(labels.data<long>().ToArray(), codes.data<long>().ToArray(), grouping.Geometry);
        pass.Backward();
        run.Close($"p{patchSize} loss of the training pass", tensor(new[] { (float)pass.TakeLoss() }), expected["loss"],
            Tolerance.Parse(tolerances["loss"]));
        CheckGradients(run, model, $"p{patchSize} training pass", expected, Tolerance.Parse(tolerances["grad"]));
        model.zero_grad();
    }

    public static void CheckGradients(
        CaseRun run, GptModel model, string what, IReadOnlyDictionary<string, HostTensor> expected, Tolerance tolerance)
    {
        var parameters = model.named_parameters().ToDictionary(p => p.name, p => p.parameter);
        run.SameList($"{what} gradient names", parameters.Keys.Order(StringComparer.Ordinal),
            expected.Keys.Where(k => k.StartsWith(
                GradientPrefix, StringComparison.Ordinal)).Select(k => k[GradientPrefix.Length..]).Order(StringComparer.Ordinal));
        foreach (var (name, parameter) in parameters)
        {
            // A parameter that the loss does not reach has no gradient here and a zero one there.
            var own = parameter.grad ?? zeros_like(parameter);
            run.Close($"{what} {GradientPrefix}{name}", own, expected[GradientPrefix + name], tolerance);
        }
    }
}
