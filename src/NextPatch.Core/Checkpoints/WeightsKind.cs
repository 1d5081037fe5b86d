namespace NextPatch.Core.Checkpoints;

/// <summary>Which weights of a training checkpoint are meant.</summary>
public enum WeightsKind
{
    /// <summary>The average over training where there is one, else the model itself.</summary>
    Auto,

    /// <summary>The weights that were trained.</summary>
    Model,

    /// <summary>Their exponential moving average.</summary>
    Ema,
}
