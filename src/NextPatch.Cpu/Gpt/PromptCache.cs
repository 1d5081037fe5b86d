using NextPatch.Kernels.Attention;
using NextPatch.Kernels.Simd;

namespace NextPatch.Cpu.Gpt;

// Shape letters: N rows of a prompt, D head width.

/// <summary>Keys and values of prompts beside those of codes.</summary>
/// <remarks>
/// The rotary factors of a prompt's rows are zero, as published, so their queries and keys are: a row of the prompt takes the plain mean of the
/// values up to its own, and for a code the whole prompt is one key of zeros, N times. One position with the mean of the values and ln N added to
/// its score is the same: that is all that is kept, at position 0, where other models keep their class.
/// </remarks>
/// <typeparam name="L">Values computed at once.</typeparam>
/// <typeparam name="T">Keys and values as they are kept.</typeparam>
internal sealed unsafe class PromptCache<L, T>
    where L : unmanaged, ISimd<L>
    where T : unmanaged, IElement<T>
{
    private readonly int _width;
    private readonly int _mostRows;
    private readonly bool _isPlain;
    private readonly float[] _noKey;
    private int[] _rows = [];
    private float[] _scores = [];

    /// <param name="codes">Codes per image.</param>
    /// <param name="width">D.</param>
    /// <param name="mostRows">Largest N; 1 where classes condition the model.</param>
    /// <param name="isPlain">Keeps every row of prompts, to compare with: the same image, slower.</param>
    public PromptCache(int codes, int width, int mostRows, bool isPlain)
    {
        (_width, _mostRows, _isPlain) = (width, mostRows, isPlain);
        Capacity = codes + (isPlain ? mostRows - 1 : 0);
        _noKey = new float[width];
    }

    /// <summary>Positions that the cache of a head needs.</summary>
    public int Capacity { get; }

    /// <summary>What is added to the first score of a sequence: ln N.</summary>
    public float FirstScore(int slot) => slot < _scores.Length ? _scores[slot] : 0;

    /// <summary>Positions of the cache before the one that position 0 of an image has.</summary>
    public int Before(int slot) => slot < _rows.Length ? _rows[slot] : 0;

    /// <summary>A slot is about to hold a prompt; or none, with 1 row.</summary>
    /// <param name="slot">Which.</param>
    /// <param name="rows">N.</param>
    public void Begin(int slot, int rows)
    {
        if (slot >= _rows.Length)
        {
            Array.Resize(ref _rows, (2 * slot) + 2);
            Array.Resize(ref _scores, (2 * slot) + 2);
        }

        _rows[slot] = _isPlain ? rows - 1 : 0;
        _scores[slot] = _isPlain ? 0 : MathF.Log(rows);
    }

    /// <summary>Takes one row of a prompt into a head.</summary>
    /// <param name="index">Its number; all before it were taken.</param>
    /// <param name="count">N.</param>
    /// <param name="value">[D].</param>
    /// <param name="sum">[D], the values of the rows before it; receives those with it.</param>
    /// <param name="cache">The head's part.</param>
    /// <param name="scores">Room for a score per position.</param>
    /// <param name="mixed">[padded D]; receives what attention gives.</param>
    public void Take(int index, int count, float* value, float* sum, T* cache, float* scores, float* mixed)
    {
        fixed (float* key = _noKey)
        {
            if (_isPlain)
            {
                CachedAttention<L, T>.Append(Capacity, _width, index, key, value, cache);
                CachedAttention<L, T>.Attend(Capacity, _width, index + 1, key, cache, scores, mixed);
                return;
            }

            for (var d = 0; d < _width; d++)
            {
                sum[d] = index == 0 ? value[d] : sum[d] + value[d];
                mixed[d] = sum[d] / (index + 1);
            }

            if (index == count - 1)
            {
                CachedAttention<L, T>.Append(Capacity, _width, 0, key, mixed, cache);
            }
        }
    }
}
