using NextPatch.Core;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Loading;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Perception;

// Shape letters used in this file: B batch, H and W rows and columns of pixels, C channels, h and w of a feature map.

/// <summary>LPIPS: how different two images look, as VGG-16 features see it (Zhang et al., arXiv 1801.03924).</summary>
internal sealed class Lpips : IPerceptualLoss
{
    private const long Any = -1;

    // Halved four times, and something must be left.
    private const int LeastSide = 16;

    private static readonly float[] Shift = [-0.030f, -0.088f, -0.188f];
    private static readonly float[] Scale = [0.458f, 0.448f, 0.450f];

    // Positions of the convolutions in torchvision's VGG-16; before each group but the first the size is halved, after each it is tapped.
    private static readonly int[][] Groups = [[0, 2], [5, 7], [10, 12, 14], [17, 19, 21], [24, 26, 28]];

    private readonly DisposeScopeHolder _tensors = new();
    private readonly (Tensor Weight, Tensor Bias)[][] _convolutions;
    private readonly Tensor[] _heads;
    private readonly Tensor _shift;
    private readonly Tensor _scale;

    /// <param name="features">VGG-16 by torchvision's keys (<c>features.0.weight</c>) or the published code's (<c>net.slice1.0.weight</c>).</param>
    /// <param name="heads">Linear heads by the published keys (<c>lin0.model.1.weight</c>).</param>
    /// <param name="source">What messages call the weights.</param>
    /// <exception cref="NextPatchException">A tensor is missing.</exception>
    /// <exception cref="DataFormatException">One is of a shape that does not follow those before it, or holds numbers that are not
    /// finite.</exception>
    public Lpips(IReadOnlyDictionary<string, StoredTensor> features, IReadOnlyDictionary<string, StoredTensor> heads, string source)
    {
        using var scope = NewDisposeScope();
        var channels = 3L;
        var widths = new long[Groups.Length];
        (Tensor Weight, Tensor Bias) Convolution(int slice, int position)
        {
            string[] Names(string part) => [$"features.{position}.{part}", $"net.slice{slice + 1}.{position}.{part}"];
            var weight = Take(features, source, [Any, channels, 3, 3], Names("weight"));
            channels = widths[slice] = weight.size(0);
            return (weight, Take(features, source, [channels], Names("bias")));
        }

        try
        {
            _convolutions = [.. Groups.Select((group, slice) => group.Select(position => Convolution(slice, position)).ToArray())];
            _heads = [.. Groups.Select((_, i) => Take(heads, source, [1, widths[i], 1, 1], $"lin{i}.model.1.weight", $"lin{i}.weight"))];
        }
        catch
        {
            Dispose();
            throw;
        }

        _shift = _tensors.Keep(tensor(Shift).view(1, 3, 1, 1));
        _scale = _tensors.Keep(tensor(Scale).view(1, 3, 1, 1));
    }

    public int SmallestSide => LeastSide;

    /// <summary>Distance of each pair; differentiable in both.</summary>
    /// <param name="first">float [B, 3, H, W] in [-1, 1].</param>
    /// <param name="second">float [B, 3, H, W] in [-1, 1].</param>
    /// <param name="computeType">Type that convolutions compute in; null = that of the images.</param>
    /// <returns>float [B, 1, 1, 1], 0 for equal images, in the caller's dispose scope.</returns>
    public Tensor Distance(Tensor first, Tensor second, ScalarType? computeType = null)
    {
        using var scope = NewDisposeScope();
        var (a, b) = (Features(first, computeType), Features(second, computeType));
        var sum = zeros(1, device: first.device);
        for (var i = 0; i < _heads.Length; i++)
        {
            var difference = (Unit(a[i]) - Unit(b[i])).square();                                            // [B, C, h, w]
            sum = sum + (difference * _heads[i].to(first.device)).sum(1, keepdim: true).mean([2, 3], keepdim: true);         // [B, 1, 1, 1]
        }

        return sum.MoveToOuterDisposeScope();
    }

    Tensor IPerceptualLoss.Distance(Tensor images, Tensor reconstructions, ScalarType? computeType)
    {
        using var ofEach = Distance(images, reconstructions, computeType);
        return ofEach.mean();
    }

    /// <summary>The five tapped feature maps, [B, C, h, w], in the caller's dispose scope.</summary>
    /// <param name="images">float [B, 3, H, W] in [-1, 1].</param>
    /// <param name="computeType">Type that convolutions compute in; null = that of the images.</param>
    /// <exception cref="NextPatchException">The images are too small.</exception>
    public Tensor[] Features(Tensor images, ScalarType? computeType = null)
    {
        if (images.size(2) < LeastSide || images.size(3) < LeastSide)
        {
            throw new NextPatchException(
                $"LPIPS takes images of at least {LeastSide}x{LeastSide} pixels but got {HostTensor.Describe(images.shape)}; enlarge them first.");
        }

        using var scope = NewDisposeScope();
        var x = ((images - _shift.to(images.device)) / _scale.to(images.device)).to(computeType ?? images.dtype);
        var taps = new Tensor[Groups.Length];
        for (var i = 0; i < taps.Length; i++)
        {
            x = i == 0 ? x : functional.max_pool2d(x, 2);
            foreach (var (weight, bias) in _convolutions[i])
            {
                x = functional.relu(functional.conv2d(x, weight.to(x.dtype, x.device), bias.to(x.dtype, x.device), padding: [1, 1]));
            }

            taps[i] = x.to(images.dtype);
        }

        return [.. taps.Select(tap => tap.MoveToOuterDisposeScope())];
    }

    public void Dispose() => _tensors.Dispose();

    private static Tensor Unit(Tensor features) => features / (features.square().sum(1, keepdim: true).sqrt() + 1e-10);

    private Tensor Take(IReadOnlyDictionary<string, StoredTensor> tensors, string source, long[] shape, params string[] names)
    {
        var name = names.FirstOrDefault(tensors.ContainsKey)
            ?? throw new NextPatchException(
                $"The LPIPS weights in {source} have no tensor {string.Join(" or ", names)}; torchvision's VGG-16 and the linear heads of LPIPS "
                + $"are expected.");
        var found = tensors[name].As(ElementType.Float32);
        if (found.Type != ElementType.Float32 || found.Shape.Count != shape.Length
            || found.Shape.Zip(shape).Any(pair => pair.First < 1 || (pair.Second != Any && pair.First != pair.Second)))
        {
            throw new DataFormatException(
                $"The LPIPS weights in {source} have '{name}' {found}; expected {ElementType.Float32} "
                + $"{HostTensor.Describe(shape).Replace("-1", "any", StringComparison.Ordinal)}.");
        }

        var read = found.Read();
        return FiniteNumbers.FirstNotFinite(read.AsSpan<float>()) < 0
            ? _tensors.Keep(StateLoader.ToTensor(read))
            : throw new DataFormatException($"The LPIPS weights in {source} hold a number that is not finite in '{name}'; the file is damaged.");
    }

    /// <summary>Tensors that live as long as their owner.</summary>
    private sealed class DisposeScopeHolder : IDisposable
    {
        private readonly List<Tensor> _kept = [];

        public Tensor Keep(Tensor tensor)
        {
            _kept.Add(tensor.DetachFromDisposeScope());
            return tensor;
        }

        public void Dispose() => _kept.ForEach(tensor => tensor.Dispose());
    }
}
