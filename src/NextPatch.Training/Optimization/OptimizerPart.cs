using TorchSharp.Modules;

namespace NextPatch.Training.Optimization;

/// <summary>
/// What of a parameter an optimiser updates, and where it keeps what it remembers of that; the lengths of the memories are the part's.
/// </summary>
/// <param name="Start">First element of the part.</param>
/// <param name="FirstMoments">Running mean of gradients.</param>
/// <param name="SecondMoments">Running mean of squared gradients.</param>
/// <param name="Average">EMA of the weights; empty where there is none.</param>
/// <param name="Gradients">Address of the part's gradients; 0 = those of the parameter.</param>
internal sealed record OptimizerPart(int Start, Memory<float> FirstMoments, Memory<float> SecondMoments, Memory<float> Average, nint Gradients)
{
    public static OptimizerPart Whole(Parameter parameter, bool hasAverage)
    {
        var count = (int)parameter.NumberOfElements;
        return new(0, Zeros(count), Zeros(count), hasAverage ? new float[count] : [], 0);
    }

    /// <summary>
    /// Zeros that are written here. Memory that the system only promises to be zero costs two page faults a page, when the first step reads and
    /// then writes it, and the second interrupts every core.
    /// </summary>
    public static float[] Zeros(int count, bool isPinned = false)
    {
        var zeros = GC.AllocateUninitializedArray<float>(count, isPinned);
        zeros.AsSpan().Clear();
        return zeros;
    }
}
