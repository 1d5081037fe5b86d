using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Gpt;

/// <summary>A linear map without bias, float [..., In] -> [..., Out]. Its weight is left unset: <see cref="GptInitializer"/> or a checkpoint fills
/// it, so that a large model is not drawn twice. It computes in the type of its input: the gradient of a rounded weight goes to the weight itself.
/// </summary>
internal sealed class Projection : Module<Tensor, Tensor>
{
    [ComponentName(Name = "weight")] private readonly Parameter _weight; // [Out, In]

    public Projection(long inputs, long outputs)
        : base(nameof(Projection))
    {
        _weight = Parameter(empty(outputs, inputs));
        RegisterComponents();
    }

    /// <summary>float [Out, In], owned by the module.</summary>
    public Parameter Weight => _weight;

    public override Tensor forward(Tensor x)
    {
        if (_weight.dtype == x.dtype)
        {
            return functional.linear(x, _weight);
        }

        using var rounded = _weight.to_type(x.dtype);
        return functional.linear(x, rounded);
    }
}
