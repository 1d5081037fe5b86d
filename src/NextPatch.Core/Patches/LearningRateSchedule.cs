namespace NextPatch.Core.Patches;

/// <summary>
/// Learning rate of a step: in each stage of n steps a linear warm-up from 0, a constant part, and a linear decay over the last
/// share of the stage (NPP appendix, "constant with linear decay"; every stage warms up and decays by itself).
/// </summary>
/// <remarks>
/// Equal to the published code at every step of a run. Past the last step the published function returns the base rate as a
/// <em>factor</em> (lr * lr); here the rate stays where the decay ended. The first step of a stage trains with rate 0, as published.
/// </remarks>
public sealed class LearningRateSchedule
{
    private readonly PatchSchedule _stages;
    private readonly double _base;
    private readonly double _end;
    private readonly Func<PatchStage, double> _warmupSteps;
    private readonly double _decayRatio;

    /// <param name="stages">Stage bounds.</param>
    /// <param name="baseRate">Rate of the constant part.</param>
    /// <param name="endRate">Rate at the end of each stage's decay.</param>
    /// <param name="warmupSteps">Warm-up length of a stage in steps; takes precedence over the decay where they overlap.</param>
    /// <param name="decayRatio">Share of a stage that decays; the product with n is not truncated.</param>
    public LearningRateSchedule(PatchSchedule stages, double baseRate, double endRate, Func<PatchStage, double> warmupSteps, double decayRatio)
    {
        _stages = stages;
        _base = baseRate;
        _end = endRate;
        _warmupSteps = warmupSteps;
        _decayRatio = decayRatio;
    }

    /// <summary>The rate that optimiser step <paramref name="step"/> (from 0) uses.</summary>
    public double At(long step)
    {
        var stage = _stages.At(step);
        var r = Math.Min(step - stage.Start, stage.StepCount);
        var warmup = _warmupSteps(stage);
        if (r < warmup)
        {
            return _base * (r / warmup);
        }

        var decay = stage.StepCount * _decayRatio;
        var constantEnd = stage.StepCount - decay;
        if (decay == 0 || r < constantEnd)
        {
            return _base;
        }

        // The minimum matters past the end only, where a decay of a few ulps would round beyond it.
        return _base * (1 - ((1 - (_end / _base)) * Math.Min(1, (r - constantEnd) / decay)));
    }
}
