using NextPatch.Core.Configuration;
using NextPatch.Core.Sampling;

namespace NextPatch.Core.Generation;

/// <summary>What every engine demands of a request.</summary>
internal static class GenerationRequests
{
    /// <summary>Stands in <see cref="GenerationRequest.GivenCodes"/> for a code that is drawn.</summary>
    public const int Drawn = -1;

    /// <summary>The code that is given at a place of [images, T]; null where it is drawn.</summary>
    public static int? GivenAt(this GenerationRequest request, int place) => request.GivenCodes?[place] is { } code and not Drawn ? code : null;

    /// <summary>Some images of a request, with the indices that they have in it.</summary>
    public static GenerationRequest Part(this GenerationRequest request, int first, int count, GptConfig config) => request with
    {
        Labels = [.. request.Labels.Skip(first).Take(count)],
        Prompts = request.Prompts is { } prompts ? [.. prompts.Skip(first).Take(count)] : null,
        FirstIndex = request.FirstIndex + first,
        GivenCodes = request.GivenCodes?.Skip(first * config.CodesPerImage).Take(count * config.CodesPerImage).ToArray(),
    };

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

        problems.AddRange(PromptProblems(request, config));

        foreach (var label in request.Labels.Distinct().Where(l => l < 0 || l >= config.ClassCount))
        {
            problems.Add($"There is no class {label}; this model has classes 0 to {config.ClassCount - 1}.");
        }

        if (request.GivenCodes is { } given)
        {
            if (given.Count != request.Labels.Count * config.CodesPerImage)
            {
                problems.Add(
                    $"{given.Count} codes are given, but {request.Labels.Count} images have {config.CodesPerImage} each; give {Drawn} for those that "
                    + "are drawn.");
            }

            foreach (var code in given.Distinct().Where(c => c < Drawn || c >= config.VocabularySize))
            {
                problems.Add($"There is no code {code}; this model has codes 0 to {config.VocabularySize - 1}, and {Drawn} stands for one to draw.");
            }
        }

        if (problems.Count > 0)
        {
            throw new ConfigException(problems) { Settings = [nameof(SamplingConfig.GuidanceScale)] };
        }
    }

    private static IEnumerable<string> PromptProblems(GenerationRequest request, GptConfig config)
    {
        if (config.Text is not { } text)
        {
            return request.Prompts is null ? [] : ["Prompts are given, but classes condition this model; leave them out."];
        }

        if (request.Prompts is not { } prompts || prompts.Count != request.Labels.Count)
        {
            return [
                $"Captions condition this model: {request.Labels.Count} images need as many Prompts, but there are {request.Prompts?.Count ?? 0}."];
        }

        return prompts.Distinct().SelectMany(prompt => (string[])[
            .. prompt.Width != text.FeatureWidth ? (string[])[
                $"A prompt has {prompt.Width} numbers per token, but this model takes {text.FeatureWidth}; it was trained with another text encoder."]
                : [],
            .. prompt.TokenCount > text.TokenCount ? (string[])[
                $"A prompt has {prompt.TokenCount} tokens, but this model takes at most {text.TokenCount}; cut it."] : []]).Distinct();
    }
}
