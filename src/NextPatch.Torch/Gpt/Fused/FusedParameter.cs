using NextPatch.Kernels.Elementwise;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt.Fused;

/// <summary>A parameter of the model as the training pass sees it: its memory, and a gradient whose memory stays from step to step.</summary>
internal sealed unsafe class FusedParameter : IDisposable
{
    private readonly Parameter _parameter;

    public FusedParameter(Parameter parameter)
    {
        _parameter = parameter;
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Weight = parameter.detach().DetachFromDisposeScope();
        Gradient = zeros_like(Weight).DetachFromDisposeScope();
        Address = (float*)TensorMemory.AddressOf(Weight);
        GradientAddress = (float*)TensorMemory.AddressOf(Gradient);
    }

    /// <summary>The parameter's memory, without a graph.</summary>
    public Tensor Weight { get; }

    public Tensor Gradient { get; }

    public float* Address { get; }

    public float* GradientAddress { get; }

    /// <summary>Gives the gradient to the parameter where it has none, i.e. at the first micro-batch of a step.</summary>
    /// <param name="clear">Whether the pass adds to it instead of writing it.</param>
    /// <returns>Whether it had none.</returns>
    public bool Attach(bool clear)
    {
        using var present = _parameter.grad;
        if (present is not null)
        {
            return false;
        }

        if (clear)
        {
            GradientKernel.Clear(Gradient.NumberOfElements, GradientAddress);
        }

        _parameter.grad = Gradient;
        return true;
    }

    public void Dispose()
    {
        Weight.Dispose();
        Gradient.Dispose();
    }
}
