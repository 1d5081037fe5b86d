namespace NextPatch.Core.Configuration;

/// <summary>Who computes loss and gradients of a training step. Both give the same numbers but for rounding.</summary>
public enum StepImplementation
{
    /// <summary>Written out for the processor; linear groupings.</summary>
    Fused,

    /// <summary>libtorch's automatic gradients; any grouping.</summary>
    Reference,
}
