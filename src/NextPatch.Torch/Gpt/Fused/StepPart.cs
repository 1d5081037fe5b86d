namespace NextPatch.Torch.Gpt.Fused;

/// <summary>What the time of a training pass is spent on.</summary>
internal enum StepPart
{
    /// <summary>Rows of both tables in, their gradients out.</summary>
    Embedding,

    /// <summary>Residual sums, dropout, norms.</summary>
    Norms,

    /// <summary>Products of the blocks' linear maps.</summary>
    Products,

    /// <summary>Gradients of weights into their float sums, where products are not in float.</summary>
    GradientSums,

    /// <summary>Rotary positions, scores, softmax, mix.</summary>
    Attention,

    /// <summary>The gate of the feed-forward part.</summary>
    SwiGlu,

    /// <summary>Products of the output head.</summary>
    Head,

    /// <summary>Softmax, loss and its gradient.</summary>
    Loss,
}
