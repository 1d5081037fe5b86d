using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Kernels.Attention;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt;

// Shape letters: B batch, T tokens, H heads, D head width, g grid side, K condition tokens.

/// <summary>
/// Two-dimensional rotary positions: neighbouring elements (2i, 2i + 1) of a head rotate by an angle; the first half of the pairs
/// by the row, the second by the column, frequencies base^(-2i / (D/2)) with positions 0 .. g - 1 of the grid at hand (not
/// rescaled for patches).
/// </summary>
/// <remarks>The rows of the condition tokens are zero in cosine and sine, as published: their queries and keys become 0. Tables belong to
/// a grid, so they are cached by grid side and are never part of the model's state; the published code overwrites one table.</remarks>
internal sealed class RotaryEmbedding2d : IDisposable
{
    private readonly int _headWidth;
    private readonly int _conditionTokens;
    private readonly double _base;
    private readonly Dictionary<(int Side, int Spacing, string Device), Tensor> _tables = [];

    /// <param name="headWidth">D, a multiple of 4.</param>
    /// <param name="conditionTokens">K leading tokens without a position.</param>
    /// <param name="frequencyBase">Base of the frequencies, 10000.</param>
    public RotaryEmbedding2d(int headWidth, int conditionTokens, double frequencyBase)
    {
        _headWidth = headWidth;
        _conditionTokens = conditionTokens;
        _base = frequencyBase;
    }

    /// <summary>Cosines and sines, float32 [K + g*g, D/2, 2], as the published <c>precompute_freqs_cis_2d</c>.</summary>
    public static float[] Table(int gridSide, int headWidth, int conditionTokens, double frequencyBase)
        => RotaryTable.Create(gridSide, headWidth, conditionTokens, frequencyBase);

    /// <summary>The same of the patches of a division of the grid.</summary>
    public static float[] Table(PatchGeometry geometry, PatchPosition position, int headWidth, int conditionTokens, double frequencyBase)
    {
        var spacing = SpacingOf(geometry, position);
        return RotaryTable.Create(geometry.PatchesPerSide, headWidth, conditionTokens, frequencyBase, (spacing - 1) / 2f, spacing);
    }

    /// <summary>The factors of a grid as complex numbers, complex64 [K + n, 1, D/2]; owned by this object.</summary>
    /// <param name="geometry">Its n patches.</param>
    /// <param name="position">Where they are.</param>
    /// <param name="device">Where the factors lie.</param>
    public Tensor For(PatchGeometry geometry, PatchPosition position, Device device)
    {
        var key = (geometry.PatchesPerSide, SpacingOf(geometry, position), device.ToString());
        if (!_tables.TryGetValue(key, out var factors))
        {
            // A table made while sampling must also serve training, which saves it for the backward pass.
            using var ordinary = inference_mode(false);
            using var scope = NewDisposeScope();
            long rows = _conditionTokens + geometry.PatchCount;
            var table = tensor(Table(geometry, position, _headWidth, _conditionTokens, _base), [rows, 1, _headWidth / 2, 2], device: device);
            _tables[key] = factors = table.view_as_complex().clone().DetachFromDisposeScope();
        }

        return factors;
    }

    /// <summary>Rotates heads, computed in float whatever the element type.</summary>
    /// <param name="x">float or bfloat16 [B, T, H, D].</param>
    /// <param name="factors">complex64 [T, 1, D/2].</param>
    /// <returns>[B, T, H, D] of the type of <paramref name="x"/>, in the caller's dispose scope.</returns>
    public static Tensor Rotate(Tensor x, Tensor factors)
    {
        using var scope = NewDisposeScope();
        var wide = x.dtype == ScalarType.Float32 ? x : x.to_type(ScalarType.Float32);
        var pairs = wide.view(x.size(0), x.size(1), x.size(2), x.size(3) / 2, 2).view_as_complex(); // [B, T, H, D/2]
        var rotated = pairs.mul(factors).view_as_real().flatten(3);                                 // [B, T, H, D]
        return (x.dtype == ScalarType.Float32 ? rotated : rotated.to_type(x.dtype)).MoveToOuterDisposeScope();
    }

    private static int SpacingOf(PatchGeometry geometry, PatchPosition position) => position == PatchPosition.Centre ? geometry.PatchSide : 1;

    public void Dispose()
    {
        foreach (var table in _tables.Values)
        {
            table.Dispose();
        }

        _tables.Clear();
    }
}
