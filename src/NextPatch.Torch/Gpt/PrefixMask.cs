using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt;

// Shape letters: B batch, K condition rows, S rows in all.

/// <summary>What the rows of a sequence see whose condition is padded (captions), as the published <c>generate</c> and data set build it.</summary>
internal static class PrefixMask
{
    /// <summary>Causal, with the padded condition columns cleared for every row and the diagonal set.</summary>
    /// <param name="isToken">Which condition rows are real, bool [B, K].</param>
    /// <param name="length">S, at least K.</param>
    /// <returns>bool [B, 1, S, S], true = may attend, in the caller's dispose scope.</returns>
    public static Tensor Build(Tensor isToken, long length)
    {
        using var scope = NewDisposeScope();
        var columns = cat([isToken, ones(isToken.size(0), length - isToken.size(1), ScalarType.Bool, isToken.device)], 1); // [B, S]
        var causal = ones(length, length, ScalarType.Bool, isToken.device).tril();                                          // [S, S]
        var itself = eye(length, length, ScalarType.Bool, isToken.device);                                                  // [S, S]
        return columns.unsqueeze(1).logical_and(causal).logical_or(itself).unsqueeze(1).MoveToOuterDisposeScope();
    }
}
