using System.Diagnostics;

namespace NextPatch.Cli.Benchmarking;

/// <summary>One optimiser step in its three parts, so that each can be timed.</summary>
internal interface ITrainStep : IDisposable
{
    /// <summary>From codes to the loss, gradients of the output head included where they are formed with it.</summary>
    void Forward(BenchBatch batch);

    void Backward();

    void Optimise();
}

/// <summary>Seconds of the parts of one step.</summary>
internal sealed record StepTimes(double Forward, double Backward, double Optimiser)
{
    public double Passes => Forward + Backward;

    public double Total => Passes + Optimiser;

    public static StepTimes Measure(ITrainStep step, BenchBatch batch)
    {
        var watch = Stopwatch.StartNew();
        step.Forward(batch);
        var forward = watch.Elapsed.TotalSeconds;
        step.Backward();
        var backward = watch.Elapsed.TotalSeconds;
        step.Optimise();
        return new StepTimes(forward, backward - forward, watch.Elapsed.TotalSeconds - backward);
    }
}
