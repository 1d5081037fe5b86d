using System.CommandLine;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Torch.Devices;
using NextPatch.Torch.Patches;

namespace NextPatch.Cli.Training;

/// <summary>The option <c>--step</c>: who computes loss and gradients.</summary>
internal static class StepChoice
{
    private const string Auto = "auto";

    public static Option<string> CreateOption() => new Option<string>("--step")
    {
        Description = "Implementation of the training step: fused (the fast one), reference (automatic gradients: any grouping), or auto: fused "
            + "where it applies.",
        HelpName = "auto|fused|reference",
        DefaultValueFactory = _ => Auto,
    }.AcceptOnlyFromAmong(Auto, "fused", "reference");

    /// <summary>As asked; with auto the reference where the fused step does not apply.</summary>
    /// <exception cref="ConfigException">The grouping is unknown.</exception>
    public static StepImplementation Choose(string asked, string grouping) => asked switch
    {
        Auto => PatchGroupings.IsLinear(grouping) ? StepImplementation.Fused : StepImplementation.Reference,
        _ => Enum.Parse<StepImplementation>(asked, ignoreCase: true),
    };

    /// <summary>As asked; with auto a resumed run keeps its own, and a fresh one takes the reference where the fused step does not apply.</summary>
    /// <param name="asked">What the option says.</param>
    /// <param name="grouping">The run's.</param>
    /// <param name="device">Where it computes; others than the processor take the reference.</param>
    /// <param name="ofRun">That of the run to resume; null where there is none.</param>
    /// <param name="tell">Is told when it is the reference, and why.</param>
    /// <exception cref="ConfigException">The grouping is unknown.</exception>
    public static StepImplementation Choose(string asked, string grouping, string device, StepImplementation? ofRun, Action<string> tell)
    {
        var (step, reason) = asked switch
        {
            "fused" => (StepImplementation.Fused, ""),
            "reference" => (StepImplementation.Reference, "as asked"),
            _ when !TorchDevices.IsCpu(device) => (StepImplementation.Reference, $"because it computes on {device}"),
            _ when ofRun is { } kept => (kept, "as the run began"),
            _ when PatchGroupings.IsLinear(grouping) => (StepImplementation.Fused, ""),
            _ => (StepImplementation.Reference, $"because the grouping '{grouping}' is not a sum of embeddings with fixed factors"),
        };
        if (step == StepImplementation.Reference)
        {
            tell($"Step: reference, {reason}.");
        }

        return step;
    }
}
