namespace NextPatch.Cli.Benchmarking;

/// <summary>One optimiser step in its three parts, so that each can be timed.</summary>
internal interface ITrainStep : IDisposable
{
    /// <summary>From codes to the loss, gradients of the output head included where they are formed with it.</summary>
    void Forward(BenchBatch batch);

    void Backward();

    void Optimise();
}
