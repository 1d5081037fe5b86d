namespace NextPatch.Core.Configuration;

/// <summary>Arithmetic of the matrix products in training; weights, moments, norms, softmax and loss are float32 always.</summary>
public enum ComputePrecision
{
    /// <summary>float32.</summary>
    Fp32,

    /// <summary>bfloat16 products: several times as fast where the processor has bf16 dot products, ten times slower where not.</summary>
    Bf16,

    /// <summary>Weights in eight bits with a scale for every 128 of them; for drawing with the engine in C# only.</summary>
    Int8,
}

/// <summary>How many images a step of a coarse stage takes.</summary>
public enum CoarseBatch
{
    /// <summary>As many as any other step, so that it costs about 1 / p^2; published.</summary>
    Images,

    /// <summary>p^2 times as many: every step costs about the same FLOPs.</summary>
    Flops,
}

/// <summary>Where rotary positions place a patch of side p.</summary>
public enum PatchPosition
{
    /// <summary>At its row and column among the patches, 0 .. g / p - 1; published.</summary>
    Grid,

    /// <summary>At the middle of its codes, in the coordinates of codes: row * p + (p - 1) / 2.</summary>
    Centre,
}

/// <summary>The course of the learning rate over the stages.</summary>
public enum LearningRateCourse
{
    /// <summary>Every stage warms up from 0 and decays by itself; published.</summary>
    Stages,

    /// <summary>One warm-up, one constant part, one decay over the whole run, whatever the stages.</summary>
    Wsd,
}

/// <summary>Who computes loss and gradients of a training step. Both give the same numbers but for rounding.</summary>
public enum StepImplementation
{
    /// <summary>Written out for the processor; linear groupings.</summary>
    Fused,

    /// <summary>libtorch's automatic gradients; any grouping.</summary>
    Reference,
}
