using NextPatch.Cpu.Memory;

namespace NextPatch.Cpu.Gpt;

/// <summary>Memory for keys and values, one piece per sequence; made when first needed and then kept for the next one.</summary>
/// <param name="bytes">Size of a piece.</param>
internal sealed unsafe class KvSlots(nint bytes) : IDisposable
{
    private readonly List<AlignedMemory> _memory = [];
    private readonly List<nint> _starts = [];
    private readonly Stack<int> _free = [];

    /// <summary>Where a slot's memory begins.</summary>
    public void* this[int slot] => (void*)_starts[slot];

    public int Take()
    {
        if (_free.TryPop(out var slot))
        {
            return slot;
        }

        var memory = new AlignedMemory(bytes);
        _memory.Add(memory);
        _starts.Add((nint)memory.Take<byte>(bytes));
        return _memory.Count - 1;
    }

    public void Return(int slot) => _free.Push(slot);

    public void Dispose() => _memory.ForEach(memory => memory.Dispose());
}
