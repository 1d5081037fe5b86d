namespace NextPatch.Evaluation.Networks;

/// <summary>How images are brought to a network's input size. Distances measured under different protocols must not be compared.</summary>
public enum ResizeProtocol
{
    /// <summary>TensorFlow 1's bilinear, as the ADM evaluator runs it inside its graph: no half-pixel shift, no antialiasing, nothing rounded.</summary>
    Adm,

    /// <summary>clean-fid: Pillow's bicubic with antialiasing on every channel as float32, clipped to 0..255, not rounded.</summary>
    Clean,

    /// <summary>pytorch-fid: PyTorch's bilinear (half-pixel centres, no antialiasing); the FID Inception network then takes 2x / 255 - 1 instead of (x - 128) / 128.</summary>
    Legacy,
}
