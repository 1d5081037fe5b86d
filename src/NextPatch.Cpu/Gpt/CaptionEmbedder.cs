using NextPatch.Core.Generation;
using NextPatch.Core.Tensors;
using NextPatch.Cpu.Memory;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Cpu.Gpt;

// Shape letters: N tokens of a prompt, K most tokens, W features per token, C width.

/// <summary>Turns the features of prompts into rows of the transformer: two linear maps with GELU (its tanh formula) between. Keeps
/// float32.</summary>
/// <typeparam name="L">Values computed at once.</typeparam>
internal sealed unsafe class CaptionEmbedder<L> : IDisposable
    where L : unmanaged, ISimd<L>
{
    private readonly AlignedMemory _memory;
    private readonly PackedMatrix<Fp32> _in;
    private readonly PackedMatrix<Fp32> _out;
    private readonly float[] _unconditional; // [K, W]
    private readonly ThreadTeam _team;

    /// <param name="tensors">By state key.</param>
    /// <param name="team">Computes.</param>
    public CaptionEmbedder(IReadOnlyDictionary<string, StoredTensor> tensors, ThreadTeam team)
    {
        var (first, second) = (tensors[GptState.CaptionIn], tensors[GptState.CaptionOut]);
        _memory = new AlignedMemory(Room(first) + Room(second));
        (_in, _out) = (PackedMatrix<Fp32>.Pack(first, _memory), PackedMatrix<Fp32>.Pack(second, _memory));
        _unconditional = tensors[GptState.Unconditional].As(ElementType.Float32).Read().ToSingles();
        _team = team;
    }

    public EncodedPrompt Embed(PromptFeatures prompt) => Embed(prompt.Values.Span);

    /// <summary>What stands beside a prompt of so many tokens where it is guided: the last rows of the frozen features.</summary>
    public EncodedPrompt Unconditional(int tokens) => Embed(_unconditional.AsSpan()[^(tokens * _in.Depth)..]);

    public void Dispose() => _memory.Dispose();

    private static nint Room(StoredTensor matrix) => PackedMatrix<Fp32>.Room((int)matrix.Shape[0], (int)matrix.Shape[1]);

    private EncodedPrompt Embed(ReadOnlySpan<float> features)
    {
        var hidden = Multiply(_in, features);
        for (var i = 0; i < hidden.Length; i++)
        {
            var x = hidden[i];
            hidden[i] = 0.5f * x * (1 + MathF.Tanh(0.7978845608f * (x + (0.044715f * x * x * x))));
        }

        return new EncodedPrompt(Multiply(_out, hidden), features.Length / _in.Depth);
    }

    /// <returns>[N, outputs].</returns>
    private float[] Multiply(PackedMatrix<Fp32> weights, ReadOnlySpan<float> rows)
    {
        var count = rows.Length / weights.Depth;
        var x = GC.AllocateUninitializedArray<float>(rows.Length, pinned: true);
        rows.CopyTo(x);
        var result = new float[count * weights.Outputs];
        _team.Run(weights.Units, (unit, _) =>
        {
            var tile = new float[count * PanelLayout.UnitColumns];
            fixed (float* from = x, to = tile)
            {
                weights.Multiply<L>(unit, count, from, weights.Depth, to);
            }

            var first = unit * PanelLayout.UnitColumns;
            var columns = Math.Min(PanelLayout.UnitColumns, weights.Outputs - first);
            for (var row = 0; row < count; row++)
            {
                tile.AsSpan(row * PanelLayout.UnitColumns, columns).CopyTo(result.AsSpan((row * weights.Outputs) + first));
            }
        });
        return result;
    }
}
