using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NextPatch.Training.Optimization;

/// <summary>A parameter with its moments and its average. Addresses are taken once: the parameter's memory stays, and threads must not ask libtorch for it.</summary>
internal sealed unsafe class ParameterSlot
{
    private readonly float* _weights;
    private readonly ushort* _copy;
    private float* _gradients;

    public ParameterSlot(string name, Parameter parameter, bool hasAverage, Tensor? copy)
    {
        Name = name;
        Parameter = parameter;
        Shape = parameter.shape;
        var count = (int)parameter.NumberOfElements;
        FirstMoments = Zeros(count);
        SecondMoments = Zeros(count);
        Average = hasAverage ? MemoryMarshal.Cast<byte, float>(parameter.bytes).ToArray() : [];
        _weights = Address(parameter);
        _copy = copy is null ? null : (ushort*)Address(copy);
    }

    public string Name { get; }

    public Parameter Parameter { get; }

    public long[] Shape { get; }

    public bool IsDecayed => Shape.Length >= 2;

    public float[] FirstMoments { get; }

    public float[] SecondMoments { get; }

    public float[] Average { get; }

    public bool HasGradient => _gradients != null;

    public Span<float> Weights => new(_weights, FirstMoments.Length);

    public Span<float> Gradients => new(_gradients, FirstMoments.Length);

    public Span<ushort> Copy => _copy == null ? [] : new(_copy, FirstMoments.Length);

    public void FindGradient()
    {
        using var gradient = Parameter.grad;
        _gradients = gradient is null ? null : Address(gradient);
    }

    /// <summary>
    /// Zeros that are written here. Memory that the system only promises to be zero costs two page faults a page, when the first step reads and
    /// then writes it, and the second interrupts every core.
    /// </summary>
    private static float[] Zeros(int count)
    {
        var zeros = GC.AllocateUninitializedArray<float>(count);
        zeros.AsSpan().Clear();
        return zeros;
    }

    private static float* Address(Tensor tensor) => (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(tensor.bytes));
}
