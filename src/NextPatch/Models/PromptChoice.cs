using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;

namespace NextPatch.Models;

/// <summary>Which prompt each of many images is of.</summary>
internal static class PromptChoice
{
    /// <summary>One prompt per image, in turn; null for a model of classes.</summary>
    /// <param name="prompts">What is asked for; null: nothing.</param>
    /// <param name="classes">Must be all of them where captions condition the model.</param>
    /// <param name="count">Number of images.</param>
    /// <param name="model">Its configuration.</param>
    /// <param name="encode">Gives the features of prompts; null where nothing does.</param>
    /// <exception cref="ConfigException">Prompts are missing, or the model takes none.</exception>
    public static IReadOnlyList<PromptFeatures>? Of(
        IReadOnlyList<string>? prompts, IReadOnlyList<string> classes, int count, CheckpointConfig model,
        Func<IReadOnlyList<string>, IReadOnlyList<PromptFeatures>>? encode)
    {
        if (model.Model.Text is null)
        {
            return prompts is null ? null : throw Wrong("This model draws classes and takes no prompts; say with Classes what to draw.");
        }

        if (classes is not [ClassChoice.All])
        {
            throw Wrong("This model draws from prompts and has no classes; say with Prompts what to draw.");
        }

        if (prompts is not { Count: > 0 })
        {
            throw Wrong("This model draws from prompts; say with Prompts what to draw.");
        }

        var features = encode is null
            ? throw Wrong("Here no text encoder is at hand; draw from prompts with 'nextpatch sample', and measure that.")
            : encode([.. prompts.Take(count)]);
        return [.. Enumerable.Range(0, count).Select(i => features[i % features.Count])];
    }

    private static ConfigException Wrong(string message) => new(message) { Settings = ["Prompts", "Classes"] };
}
