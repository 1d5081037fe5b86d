using NextPatch.Cpu.Memory;

namespace NextPatch.Cpu.Tokenizer;

// Shape letters: h and w rows and columns, C channels.

/// <summary>
/// Channels of pixels, [h, w, C], with a border of one pixel of zeros all around, so that 3x3 convolutions know no edges. Its memory grows as needed.
/// </summary>
internal sealed unsafe class FeatureMap : IDisposable
{
    private AlignedMemory? _memory;
    private float* _start;
    private nint _capacity;

    public int Height { get; private set; }

    public int Width { get; private set; }

    public int Channels { get; private set; }

    /// <summary>Distance of rows.</summary>
    public nint RowStride => (nint)(Width + 2) * Channels;

    /// <summary>A pixel's channels; -1 and h or w are the border.</summary>
    public float* At(int y, int x) => _start + ((y + 1) * RowStride) + ((nint)(x + 1) * Channels);

    /// <summary>Takes another shape; what it holds is then undefined, its border zero.</summary>
    public FeatureMap Shape(int height, int width, int channels)
    {
        (Height, Width, Channels) = (height, width, channels);
        var needed = (height + 2) * RowStride;
        if (needed > _capacity)
        {
            _memory?.Dispose();
            _memory = new AlignedMemory(AlignedMemory.Room<float>(needed));
            _start = _memory.Take<float>(needed);
            _capacity = needed;
        }

        new Span<float>(At(-1, -1), (int)RowStride).Clear();
        new Span<float>(At(height, -1), (int)RowStride).Clear();
        for (var y = 0; y < height; y++)
        {
            new Span<float>(At(y, -1), channels).Clear();
            new Span<float>(At(y, width), channels).Clear();
        }

        return this;
    }

    public void Dispose() => _memory?.Dispose();
}
