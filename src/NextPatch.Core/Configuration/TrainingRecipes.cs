namespace NextPatch.Core.Configuration;

/// <summary>
/// The published recipes. Paper (v3, appendix) and repository differ in two values: warm-up of 5 or 1 epochs, attention dropout of
/// 0.1 or 0.
/// </summary>
public static class TrainingRecipes
{
    /// <summary>The names that the recipes go by.</summary>
    public static IReadOnlyList<string> Names { get; } = ["paper", "repository", "cpu"];

    /// <summary>Settings of a recipe for a model.</summary>
    /// <param name="name">paper, repository, or cpu (short runs of small presets).</param>
    /// <param name="model">The preset; its dropouts are replaced by the recipe's.</param>
    /// <exception cref="ConfigException">No recipe has this name.</exception>
    public static (GptConfig Model, TrainingConfig Training) Get(string name, GptConfig model) => name.ToUpperInvariant() switch
    {
        "PAPER" => (model with { AttentionDropout = 0.1 }, new TrainingConfig { WarmupEpochs = 5 }),
        "REPOSITORY" => (model with { AttentionDropout = 0 }, new TrainingConfig { WarmupEpochs = 1 }),
        "CPU" => (model, new TrainingConfig
        {
            BatchSize = 16, Steps = 2400, LearningRate = 3e-3, EndLearningRate = 3e-5, WarmupShare = 0.05, EmaDecay = 0.995,
        }),
        _ => throw new ConfigException($"There is no recipe '{name}'. Recipes: {string.Join(", ", Names)}."),
    };
}
