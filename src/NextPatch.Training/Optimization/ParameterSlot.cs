using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NextPatch.Training.Optimization;

/// <summary>
/// A parameter, or the part of it that is updated here. Addresses are taken once: the parameter's memory stays, and threads must not ask libtorch
/// for it.
/// </summary>
internal sealed unsafe class ParameterSlot
{
    private readonly OptimizerPart _part;
    private readonly float* _weights;
    private readonly ushort* _copy;
    private float* _gradients;

    public ParameterSlot(string name, Parameter parameter, OptimizerPart part, Tensor? copy)
    {
        (Name, Parameter, Shape, _part) = (name, parameter, parameter.shape, part);
        _weights = Address(parameter) + part.Start;
        _copy = copy is null ? null : (ushort*)Address(copy) + part.Start;
        if (part.Average.Length > 0)
        {
            Weights.CopyTo(part.Average.Span);
        }
    }

    public string Name { get; }

    public Parameter Parameter { get; }

    public long[] Shape { get; }

    public bool IsDecayed => Shape.Length >= 2;

    public int Start => _part.Start;

    public Memory<float> FirstMoments => _part.FirstMoments;

    public Memory<float> SecondMoments => _part.SecondMoments;

    public Memory<float> Average => _part.Average;

    public bool HasGradient => _gradients != null;

    public Span<float> Weights => new(_weights, FirstMoments.Length);

    public Span<float> Gradients => new(_gradients, FirstMoments.Length);

    public Span<ushort> Copy => _copy == null ? [] : new(_copy, FirstMoments.Length);

    public void FindGradient()
    {
        if (_part.Gradients != 0)
        {
            _gradients = (float*)_part.Gradients;
            return;
        }

        using var gradient = Parameter.grad;
        _gradients = gradient is null ? null : Address(gradient);
    }

    private static float* Address(Tensor tensor) => (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(tensor.bytes));
}
