namespace NextPatch.Torch.Gpt;

/// <summary>The attention mask of a generation whose condition tokens are padded (text), as the published <c>generate</c> builds it.</summary>
internal static class PrefixMask
{
    /// <summary>Causal, with the padded condition columns cleared for every query and the diagonal set.</summary>
    /// <param name="isToken">Which condition tokens are real, [rows][condition tokens].</param>
    /// <param name="length">Condition and code tokens; the mask is rounded up to a multiple of 8.</param>
    /// <param name="guided">Repeats the rows for the unconditional half.</param>
    /// <returns>bool [rows (x 2), S, S] flattened, true = may attend, and its side S.</returns>
    public static (bool[] Mask, int Side) Build(IReadOnlyList<IReadOnlyList<bool>> isToken, int length, bool guided)
    {
        var side = (length + 7) / 8 * 8;
        var rows = isToken.Count * (guided ? 2 : 1);
        var mask = new bool[rows * side * side];
        for (var row = 0; row < rows; row++)
        {
            var tokens = isToken[row % isToken.Count];
            for (var query = 0; query < side; query++)
            {
                for (var key = 0; key <= query; key++)
                {
                    mask[(((row * side) + query) * side) + key] = key == query || key >= tokens.Count || tokens[key];
                }
            }
        }

        return (mask, side);
    }
}
