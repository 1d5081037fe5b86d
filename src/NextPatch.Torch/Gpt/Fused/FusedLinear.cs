using NextPatch.Kernels.Elementwise;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt.Fused;

// Shape letters: R rows, In and Out widths.

/// <summary>
/// A linear map y = x W^T and its two gradients as bare products into memory that is there already. Weights may be stacked (gate over up): one
/// product does both. In float the products use the parameters themselves, otherwise copies that the optimiser renews. Products are libtorch's, or
/// ours where those are slow.
/// </summary>
internal sealed unsafe class FusedLinear<T> : IDisposable
    where T : unmanaged, IElement<T>
{
    private static readonly bool HasOwnProducts = TorchGemm.IsPreferredFor<T>();

    private readonly FusedParameter[] _parts;
    private readonly Tensor[] _weights;     // [Out part, In], of the products' type
    private readonly Tensor? _stacked;      // [Out, In], null where the parameters are used
    private readonly long _outputs;
    private readonly long _inputs;

    public FusedLinear(params FusedParameter[] parts)
    {
        using var scope = NewDisposeScope();
        _parts = parts;
        _inputs = parts[0].Weight.size(1);
        _outputs = parts.Sum(p => p.Weight.size(0));
        _stacked = TensorMemory.TypeOf<T>() == ScalarType.Float32
            ? null
            : empty(_outputs, _inputs, TensorMemory.TypeOf<T>()).DetachFromDisposeScope();
        _weights = _stacked is null ? [.. parts.Select(p => p.Weight.alias().DetachFromDisposeScope())] : [_stacked.alias().DetachFromDisposeScope()];
        Copies = _stacked is null
            ? []
            : [.. Starts().Select((start, i) => _stacked.narrow(0, start, parts[i].Weight.size(0)).DetachFromDisposeScope())];
    }

    /// <summary>What the optimiser renews after each update, one per part; none in float.</summary>
    public IReadOnlyList<Tensor> Copies { get; }

    /// <summary>Makes the copies anew from the parameters.</summary>
    public void Refresh()
    {
        for (var i = 0; i < Copies.Count; i++)
        {
            GradientKernel.Narrow(_parts[i].Weight.NumberOfElements, _parts[i].Address, (T*)TensorMemory.AddressOf(Copies[i]));
        }
    }

    /// <summary>y = x W^T.</summary>
    /// <param name="x">[R, In].</param>
    /// <param name="y">[R, Out].</param>
    public void Forward(Tensor x, Tensor y)
    {
        var start = 0L;
        foreach (var weight in _weights)
        {
            var count = weight.size(0);
            if (HasOwnProducts)
            {
                TorchGemm.Multiply(TensorMemory.View<T>(x), TensorMemory.View<T>(weight).Transposed, Columns(y, start, count), add: false);
            }
            else
            {
                using var part = y.narrow(1, start, count);
                using var transposed = weight.t();
                part.addmm_(x, transposed, beta: 0f, alpha: 1f);
            }

            start += count;
        }
    }

    /// <summary>dx = dy W.</summary>
    public void InputGradient(Tensor dy, Tensor dx)
    {
        var start = 0L;
        foreach (var weight in _weights)
        {
            var count = weight.size(0);
            if (HasOwnProducts)
            {
                TorchGemm.Multiply(Columns(dy, start, count), TensorMemory.View<T>(weight), TensorMemory.View<T>(dx), add: start > 0);
            }
            else
            {
                using var part = dy.narrow(1, start, count);
                dx.addmm_(part, weight, beta: start == 0 ? 0f : 1f, alpha: 1f);
            }

            start += count;
        }
    }

    /// <summary>dW = dy^T x, or added to it.</summary>
    /// <param name="dy">[R, Out].</param>
    /// <param name="x">[R, In].</param>
    /// <param name="scratch">Room for a gradient in the products' type.</param>
    /// <param name="add">Whether the step has gradients already.</param>
    /// <param name="clock">Told apart: the product, and its sum in float.</param>
    /// <param name="kind">What the product counts as.</param>
    public void WeightGradient(Tensor dy, Tensor x, Activation scratch, bool add, StepProfiler clock, StepPart kind = StepPart.Products)
    {
        if (HasOwnProducts)
        {
            foreach (var (start, part) in Starts().Zip(_parts))
            {
                TorchGemm.Multiply(
                    Columns(dy, start, part.Weight.size(0)).Transposed, TensorMemory.View<T>(x),
                    TensorMemory.View((Fp32*)part.GradientAddress, part.Weight), add);
            }

            clock.Lap(kind);
            return;
        }

        using var transposed = dy.t(); // [Out, R]
        if (_stacked is not null)
        {
            scratch.AtLeast(_outputs * _inputs);
            using var flat = scratch.Tensor.narrow(0, 0, _outputs * _inputs);
            using var product = flat.view(_outputs, _inputs);
            product.addmm_(transposed, x, beta: 0f, alpha: 1f);
            clock.Lap(kind);
        }

        foreach (var (start, part) in Starts().Zip(_parts))
        {
            if (_stacked is null)
            {
                using var rows = transposed.narrow(0, start, part.Weight.size(0));
                part.Gradient.addmm_(rows, x, beta: add ? 1f : 0f, alpha: 1f);
                clock.Lap(kind);
            }
            else
            {
                GradientKernel.Widen(part.Weight.NumberOfElements, (T*)scratch.Address + (start * _inputs), part.GradientAddress, add);
                clock.Lap(StepPart.GradientSums);
            }
        }
    }

    public void Dispose()
    {
        foreach (var tensor in _weights.Concat(Copies))
        {
            tensor.Dispose();
        }

        _stacked?.Dispose();
    }

    /// <summary>What belongs to one of the weights, [R, Out part].</summary>
    private static MatrixView<T> Columns(Tensor y, long first, long count) => TensorMemory.View<T>(y).SliceColumns((int)first, (int)count);

    private IEnumerable<long> Starts()
    {
        var start = 0L;
        foreach (var part in _parts)
        {
            yield return start;
            start += part.Weight.size(0);
        }
    }
}
