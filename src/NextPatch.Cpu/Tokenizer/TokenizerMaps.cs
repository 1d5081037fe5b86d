using NextPatch.Cpu.Memory;

namespace NextPatch.Cpu.Tokenizer;

/// <summary>The feature maps that a tokenizer works in: the result so far, and others that layers write to.</summary>
internal sealed unsafe class TokenizerMaps : IDisposable
{
    private readonly FeatureMap[] _projected = [new(), new(), new()];
    private AlignedMemory? _room;
    private float* _start;
    private nint _capacity;

    /// <summary>The result so far.</summary>
    public FeatureMap Current { get; private set; } = new();

    /// <summary>What becomes the result after <see cref="Swap"/>.</summary>
    public FeatureMap Next { get; private set; } = new();

    /// <summary>Normed input of a layer that does not norm as it reads.</summary>
    public FeatureMap Normed { get; } = new();

    /// <summary>Between the two convolutions of a block.</summary>
    public FeatureMap Inner { get; } = new();

    public FeatureMap Queries => _projected[0];

    public FeatureMap Keys => _projected[1];

    public FeatureMap Values => _projected[2];

    public void Swap() => (Current, Next) = (Next, Current);

    /// <summary>Working memory of a layer while it runs, of undefined content.</summary>
    public float* Room(nint floats)
    {
        if (floats > _capacity)
        {
            _room?.Dispose();
            _room = new AlignedMemory(AlignedMemory.Room<float>(floats));
            _start = _room.Take<float>(floats);
            _capacity = floats;
        }

        return _start;
    }

    public void Dispose()
    {
        foreach (var map in (FeatureMap[])[Current, Next, Normed, Inner, .. _projected])
        {
            map.Dispose();
        }

        _room?.Dispose();
    }
}
