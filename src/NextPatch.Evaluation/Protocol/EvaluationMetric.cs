namespace NextPatch.Evaluation.Protocol;

/// <summary>What can be measured between two sets of images.</summary>
public enum EvaluationMetric
{
    /// <summary>Fréchet distance in the network's pooled features.</summary>
    Fd,

    /// <summary>The same under its published name, which only the FID Inception network gives it.</summary>
    Fid,

    /// <summary>Fréchet distance in spatial features.</summary>
    Sfid,

    /// <summary>Inception Score: of the samples alone.</summary>
    InceptionScore,

    /// <summary>Share of samples in the manifold of the reference images.</summary>
    Precision,

    /// <summary>Share of reference images in the manifold of the samples.</summary>
    Recall,

    /// <summary>Kernel distance.</summary>
    Kid,
}
