using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Tensors;

namespace NextPatch.Cli.Tests;

/// <summary>Formula weights of a CIFAR residual network of depth 8: one block per stage, so quick that commands can be tested whole.</summary>
internal static class SmallResNet
{
    public const string Name = "resnet8";

    public static string Write(string path, float scale = 1)
    {
        var tensors = new List<KeyValuePair<string, StoredTensor>>();
        void Add(string name, StoredTensor tensor) => tensors.Add(new(name, tensor));
        void Layer(string convolution, string norm, int inputs, int outputs)
        {
            Add(convolution + ".weight", FormulaTensors.Make(convolution, scale * MathF.Sqrt(6f / (inputs * 9)), 0, outputs, inputs, 3, 3));
            Add(norm + ".weight", FormulaTensors.Make(norm + ".weight", 0.1f, 1, outputs));
            Add(norm + ".bias", FormulaTensors.Make(norm + ".bias", 0.1f, 0, outputs));
            Add(norm + ".running_mean", FormulaTensors.Make(norm + ".mean", 0.1f, 0, outputs));
            Add(norm + ".running_var", FormulaTensors.Make(norm + ".var", 0.1f, 1, outputs));
        }

        Layer("conv1", "bn1", 3, 16);
        foreach (var (stage, inputs, outputs) in new[] { (1, 16, 16), (2, 16, 32), (3, 32, 64) })
        {
            Layer($"layer{stage}.0.conv1", $"layer{stage}.0.bn1", inputs, outputs);
            Layer($"layer{stage}.0.conv2", $"layer{stage}.0.bn2", outputs, outputs);
        }

        Add("linear.weight", FormulaTensors.Make("linear.weight", 0.3f, 0, 10, 64));
        Add("linear.bias", FormulaTensors.Make("linear.bias", 0.1f, 0, 10));
        SafetensorsFile.Write(path, tensors);
        return path;
    }

    /// <summary>Random images as an archive for evaluation.</summary>
    /// <returns>The path.</returns>
    public static string WriteImages(string path, int count, int side, int seed)
    {
        var pixels = new byte[count * side * side * 3];
        new Random(seed).NextBytes(pixels);
        using var archive = new NpzWriter(path);
        archive.Add("arr_0", new HostTensor(ElementType.UInt8, [count, side, side, 3], pixels));
        return path;
    }
}
