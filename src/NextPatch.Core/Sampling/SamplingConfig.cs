namespace NextPatch.Core.Sampling;

/// <summary>How the guidance scale moves with the position of the code being drawn.</summary>
public enum GuidanceShape
{
    /// <summary>The same scale at every position.</summary>
    Constant,

    /// <summary>From 1 at the first position linearly to the scale at the last (VAR, MAR).</summary>
    Linear,

    /// <summary>1 + (scale - 1) * t^power with t from 0 to 1 (RAR's ramp).</summary>
    Power,
}

/// <summary>How codes are drawn from logits. Defaults are the published ones: temperature 1, no top-k, no top-p.</summary>
public sealed record SamplingConfig
{
    /// <summary>Classifier-free guidance: logits = uncond + (cond - uncond) * scale; at most 1 = none.</summary>
    public double GuidanceScale { get; init; } = 2.0;

    /// <summary>How the guidance scale moves over the positions.</summary>
    public GuidanceShape GuidanceShape { get; init; } = GuidanceShape.Constant;

    /// <summary>Exponent of <see cref="GuidanceShape.Power"/>.</summary>
    public double GuidancePower { get; init; } = 1.0;

    /// <summary>
    /// Guide only while the 0-based decode step (the first code comes from the prefill, which is always guided) is at most this; -1 = always
    /// (<c>cfg_interval</c>).
    /// </summary>
    public int GuidanceInterval { get; init; } = -1;

    /// <summary>Softmax temperature; values below 1e-5 count as 1e-5, as published.</summary>
    public double Temperature { get; init; } = 1.0;

    /// <summary>Keep the k largest logits and those tied with the k-th; 0 = all.</summary>
    public int TopK { get; init; }

    /// <summary>Keep the smallest set of codes whose probability exceeds this; 1 or more = all.</summary>
    public double TopP { get; init; } = 1.0;

    /// <summary>Take the most probable code instead of drawing one.</summary>
    public bool Greedy { get; init; }

    /// <summary>Whether any position is guided, hence whether an unconditional half is computed.</summary>
    public bool IsGuided => GuidanceScale > 1;

    /// <summary>The scale at a position: 0 is the code that the prefill predicts. 1 where the interval switches guidance off.</summary>
    /// <param name="position">Position in the sequence of codes, 0 .. T - 1.</param>
    /// <param name="count">Number of codes T.</param>
    public double ScaleAt(int position, int count)
    {
        if (!IsGuided || (GuidanceInterval >= 0 && position - 1 > GuidanceInterval))
        {
            return 1;
        }

        var t = count > 1 ? (double)position / (count - 1) : 1;
        return GuidanceShape switch
        {
            GuidanceShape.Linear => 1 + ((GuidanceScale - 1) * t),
            GuidanceShape.Power => 1 + ((GuidanceScale - 1) * Math.Pow(t, GuidancePower)),
            _ => GuidanceScale,
        };
    }

    /// <exception cref="ConfigException">A setting is out of range.</exception>
    public SamplingConfig Validated()
    {
        var problems = new List<string>();
        if (!double.IsFinite(GuidanceScale) || GuidanceScale < 0)
        {
            problems.Add($"The guidance scale is {GuidanceScale}; it must be a number of at least 0 (1 = no guidance, published: 1.65 to 2).");
        }

        if (!double.IsFinite(Temperature) || Temperature < 0)
        {
            problems.Add($"The temperature is {Temperature}; it must be a number of at least 0.");
        }

        if (TopK < 0)
        {
            problems.Add($"top-k is {TopK}; it must be 0 (all) or more.");
        }

        if (TopP is not (>= 0 and <= 1))
        {
            problems.Add($"top-p is {TopP}; it must be between 0 and 1 (1 = all).");
        }

        if (!(GuidancePower > 0))
        {
            problems.Add($"The guidance power is {GuidancePower}; it must be greater than 0.");
        }

        return problems.Count == 0 ? this : throw new ConfigException(problems);
    }
}
