namespace NextPatch.Torch.Gpt.Fused;

/// <summary>Activations of the same rows.</summary>
internal abstract class ActivationSet : IDisposable
{
    public long BytesPerRow => OfRows.Sum(a => a.BytesPerRow);

    protected abstract IReadOnlyList<Activation> OfRows { get; }

    public void Resize(int rows)
    {
        foreach (var activation in OfRows)
        {
            activation.Resize(rows);
        }
    }

    public virtual void Dispose()
    {
        foreach (var activation in OfRows)
        {
            activation.Dispose();
        }
    }
}
