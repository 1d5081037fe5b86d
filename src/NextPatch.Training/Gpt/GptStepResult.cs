namespace NextPatch.Training.Gpt;

/// <summary>What one optimiser step measured.</summary>
/// <param name="Loss">Mean patch loss in nats.</param>
/// <param name="Norm">Norm of the gradients before clipping.</param>
internal readonly record struct GptStepResult(double Loss, double Norm)
{
    /// <summary>False: loss or gradient was not finite, and weights, moments and average are as they were.</summary>
    public bool IsTaken => double.IsFinite(Loss) && double.IsFinite(Norm);
}
