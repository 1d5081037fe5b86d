namespace NextPatch.Training.Tokenizer;

/// <summary>How pixels are compared; means over all elements of images in [-1, 1].</summary>
public enum ReconstructionLoss
{
    /// <summary>Squared differences (l2, published default).</summary>
    Squared,

    /// <summary>Absolute differences (l1).</summary>
    Absolute,

    /// <summary>The sum of both.</summary>
    Both,
}
