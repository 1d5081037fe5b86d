using System.Runtime.CompilerServices;
using NextPatch.Core.Generation;

namespace NextPatch.Cpu.Gpt;

// Rows of prompts.
internal sealed unsafe partial class GptDecoder<L, T, TStored>
{
    private readonly ConditionalWeakTable<PromptFeatures, EncodedPrompt> _encoded = [];
    private readonly EncodedPrompt?[] _unconditional;

    private int SumsOfSlot => Config.LayerCount * Config.KvHeads * Config.HeadWidth;

    public EncodedPrompt Encode(PromptFeatures prompt) => _encoded.GetValue(prompt, _captions!.Embed);

    public EncodedPrompt Unconditional(int tokens) => _unconditional[tokens] ??= _captions!.Unconditional(tokens);

    public void Prefill(int slot, EncodedPrompt prompt)
    {
        _prompts.Begin(slot, prompt.Count);
        var sums = new Span<float>(Sums(slot), SumsOfSlot);
        if (prompt.Sums is { } known)
        {
            known.CopyTo(sums);
            return;
        }

        for (var first = 0; first < prompt.Count - 1; first += MaxRows)
        {
            _count = Math.Min(MaxRows, prompt.Count - 1 - first);
            for (var row = 0; row < _count; row++)
            {
                _rows[row] = new DecodeRow(slot, 0, first + row, prompt);
            }

            RunBlocks();
        }

        if (!_isPlain)
        {
            prompt.Sums = sums.ToArray();
        }
    }

    /// <summary>One key/value head of all rows of a prompt, in order; its first row does it for the others.</summary>
    private void TakePrompt(int first, int kvHead, int thread)
    {
        var (slot, width, group) = (_rows[first].Slot, Config.HeadWidth, Config.HeadCount / Config.KvHeads);
        if (first > 0 && _rows[first - 1].Slot == slot)
        {
            return;
        }

        float* mixed = _buffers.Head(thread), scores = mixed + (3 * _buffers.HeadWidth);
        var sum = Sums(slot) + (((_layer * Config.KvHeads) + kvHead) * width);
        for (var row = first; row < _count && _rows[row].Slot == slot; row++)
        {
            var value = _buffers.Qkv + ((nint)row * _buffers.QkvStride) + ((Config.HeadCount + Config.KvHeads + kvHead) * width);
            _prompts.Take(_rows[row].Input, _rows[row].Prompt!.Count, value, sum, CacheOf(slot, kvHead), scores, mixed);
            for (var head = kvHead * group; head < (kvHead + 1) * group; head++)
            {
                PutMixed(row, head, mixed);
            }
        }
    }

    /// <summary>Where the sums of a slot's prompt lie: behind keys and values.</summary>
    private float* Sums(int slot) => (float*)((byte*)_slots[slot] + _cacheOfSlot);
}
