namespace NextPatch.Cpu.Gpt;

/// <summary>A prompt as rows of the transformer, and what <see cref="PromptCache{L, T}"/> keeps of it once all but the last went through.</summary>
internal sealed class EncodedPrompt
{
    /// <param name="rows">[N, C], at least one.</param>
    /// <param name="count">N.</param>
    public EncodedPrompt(float[] rows, int count) => (Rows, Count, Last) = (rows, count, rows[^(rows.Length / count)..]);

    /// <summary>N.</summary>
    public int Count { get; }

    /// <summary>[N, C]; null once <see cref="Sums"/> say what they do.</summary>
    public float[]? Rows { get; private set; }

    /// <summary>The last row, [C], which goes through with the image's first code.</summary>
    public float[] Last { get; }

    /// <summary>Values of all rows but the last, summed, by block and head; null before they were computed.</summary>
    public float[]? Sums
    {
        get;
        set
        {
            field = value;
            Rows = null;
        }
    }

    /// <summary>A row, [C].</summary>
    public ReadOnlySpan<float> Row(int index) => index == Count - 1 ? Last : Rows.AsSpan(index * Last.Length, Last.Length);
}
