using System.Diagnostics;
using NextPatch.Core.Configuration;
using NextPatch.Torch.Gpt.Fused;
using static TorchSharp.torch;

namespace NextPatch.Cli.Benchmarking;

// Shape letters: R rows (images x tokens), In and Out widths of a linear map.

/// <summary>
/// The linear maps of one step as bare matrix products, with the model's own shapes: the time nothing can go below without other arithmetic.
/// </summary>
/// <remarks>Products of attention are not counted, so that the roofline is lower and the demand stricter.</remarks>
internal sealed class GemmRoofline : IDisposable
{
    private readonly Shape[] _shapes;

    /// <param name="config">The model.</param>
    /// <param name="rows">Images times tokens of the micro-batch.</param>
    /// <param name="type">Element type of the products.</param>
    /// <param name="isLibrary">Whether libtorch computes them instead of what the training pass uses.</param>
    public GemmRoofline(GptConfig config, long rows, ScalarType type, bool isLibrary = false)
    {
        Action<Tensor, Tensor, Tensor> product = isLibrary
            ? (left, right, result) => result.addmm_(left, right, beta: 0f, alpha: 1f)
            : TorchGemm.Multiply;
        var types = (type, isLibrary ? type : TorchGemm.WeightGradientType(type));
        var layers = config.LayerCount;
        var heads = (long)config.HeadCount * config.HeadWidth;
        _shapes =
        [
            new(config.Width, config.QkvWidth, layers, rows, types, product), new(heads, config.Width, layers, rows, types, product),
            new(config.Width, config.FfnWidth, 2 * layers, rows, types, product),
            new(config.FfnWidth, config.Width, layers, rows, types, product), new(config.Width, config.VocabularySize, 1, rows, types, product),
        ];
    }

    /// <summary>Floating-point operations of one of the three products, all layers.</summary>
    public double Flops => _shapes.Sum(s => s.Flops);

    /// <summary>Runs every shape and returns the seconds of all layers: x W^T, dy W, dy^T x.</summary>
    public Times Measure()
    {
        using var noGrad = no_grad();
        double forward = 0, input = 0, weight = 0;
        foreach (var shape in _shapes)
        {
            var (f, i, w) = shape.Measure();
            (forward, input, weight) = (forward + f, input + i, weight + w);
        }

        return new Times(forward, input, weight);
    }

    public void Dispose() => Array.ForEach(_shapes, s => s.Dispose());

    /// <summary>Seconds of the three products of every linear map.</summary>
    public readonly record struct Times(double Forward, double InputGradient, double WeightGradient)
    {
        public double Total => Forward + InputGradient + WeightGradient;
    }

    private sealed class Shape : IDisposable
    {
        private const int Runs = 3;
        private readonly Tensor _x, _w, _y, _xGradient, _wGradient, _wTransposed, _yTransposed;
        private readonly int _count;
        private readonly Action<Tensor, Tensor, Tensor> _product;

        public Shape(
            long inputs, long outputs, int count, long rows, (ScalarType Type, ScalarType Gradient) types, Action<Tensor, Tensor, Tensor> product)
        {
            using var scope = NewDisposeScope();
            (_count, _product) = (count, product);
            Flops = 2.0 * rows * inputs * outputs * count;
            (_x, _w, _y) = (Filled(rows, inputs), Filled(outputs, inputs), Filled(rows, outputs));
            (_xGradient, _wGradient) = (Filled(rows, inputs), zeros(outputs, inputs, types.Gradient).DetachFromDisposeScope());
            (_wTransposed, _yTransposed) = (_w.t().DetachFromDisposeScope(), _y.t().DetachFromDisposeScope());
            Tensor Filled(long a, long b) => (randn(a, b) * 0.02).to(types.Type).DetachFromDisposeScope();
        }

        public double Flops { get; }

        /// <summary>Each product is the best of three: other programs on the machine must not raise the roofline.</summary>
        public (double Forward, double InputGradient, double WeightGradient) Measure()
        {
            // Gradients first: they must see the same values each time, and the product overwrites y.
            var input = Best(_xGradient, _y, _w);
            var weight = Best(_wGradient, _yTransposed, _x);
            return (Best(_y, _x, _wTransposed), input, weight);
        }

        public void Dispose()
        {
            foreach (var t in (Tensor[])[_x, _w, _y, _xGradient, _wGradient, _wTransposed, _yTransposed])
            {
                t.Dispose();
            }
        }

        private double Best(Tensor result, Tensor left, Tensor right)
        {
            var best = double.MaxValue;
            for (var i = 0; i < Runs; i++)
            {
                var started = Stopwatch.GetTimestamp();
                _product(left, right, result);
                best = Math.Min(best, Stopwatch.GetElapsedTime(started).TotalSeconds);
            }

            return best * _count;
        }
    }
}
