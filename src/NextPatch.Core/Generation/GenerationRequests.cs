using NextPatch.Core.Configuration;
using NextPatch.Core.Sampling;

namespace NextPatch.Core.Generation;

/// <summary>What every engine demands of a request.</summary>
internal static class GenerationRequests
{
    /// <exception cref="ConfigException">A rule or a label is out of range, or guidance is asked of a model without a null class.</exception>
    public static void Validate(this GenerationRequest request, GptConfig config)
    {
        request.Sampling.Validated();
        var problems = new List<string>();
        if (request.Sampling.IsGuided && !config.HasNullClass)
        {
            problems.Add(
                $"A guidance scale of {request.Sampling.GuidanceScale} needs a null class, but this model was trained without label dropout; "
                + $"use {nameof(SamplingConfig.GuidanceScale)} 1.");
        }

        foreach (var label in request.Labels.Distinct().Where(l => l < 0 || l >= config.ClassCount))
        {
            problems.Add($"There is no class {label}; this model has classes 0 to {config.ClassCount - 1}.");
        }

        if (problems.Count > 0)
        {
            throw new ConfigException(problems) { Settings = [nameof(SamplingConfig.GuidanceScale)] };
        }
    }
}
