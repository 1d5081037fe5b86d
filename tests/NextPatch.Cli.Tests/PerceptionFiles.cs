using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Tensors;


namespace NextPatch.Cli.Tests;

/// <summary>Files of formula weights in the layouts of the published perceptual networks.</summary>
internal static class PerceptionFiles
{
    /// <summary>Features of SqueezeNet 1.1.</summary>
    public static string[] WriteSqueezeNet(string path)
    {
        var tensors = new List<KeyValuePair<string, StoredTensor>>();
        AddConvolution(tensors, "conv1", 3, 64, 3);
        var channels = 64;
        foreach (var (squeezed, i) in new[] { 16, 16, 32, 32, 48, 48, 64, 64 }.Select((s, i) => (s, i)))
        {
            AddConvolution(tensors, $"fire{i + 2}.squeeze1x1", channels, squeezed, 1);
            AddConvolution(tensors, $"fire{i + 2}.expand1x1", squeezed, 4 * squeezed, 1);
            AddConvolution(tensors, $"fire{i + 2}.expand3x3", squeezed, 4 * squeezed, 3);
            channels = 8 * squeezed;
        }

        SafetensorsFile.Write(path, tensors);
        return [path];
    }

    /// <summary>torchvision's VGG-16, of its classifier a piece, and the heads of LPIPS, in one file each.</summary>
    public static string[] WriteVgg(string features, string heads)
    {
        int[] widths = [64, 128, 256, 512, 512];
        var (tensors, lines) = (new List<KeyValuePair<string, StoredTensor>>(), new List<KeyValuePair<string, StoredTensor>>());
        var (channels, position) = (3, 0);
        foreach (var (width, group) in widths.Select((w, g) => (w, g)))
        {
            for (var layer = 0; layer < (group < 2 ? 2 : 3); layer++, position += 2)
            {
                AddConvolution(tensors, $"features.{position}", channels, width, 3);
                channels = width;
            }

            position++; // the pool
            lines.Add(new($"lin{group}.model.1.weight", FormulaTensors.Make($"lin{group}", 0.1f, 0.1f, 1, width, 1, 1)));
        }

        tensors.Add(new("classifier.6.bias", FormulaTensors.Make("classifier.6.bias", 1, 0, 1000)));
        PyTorchFile.Write(features, tensors);
        PyTorchFile.Write(heads, lines);
        return [features, heads];
    }

    private static void AddConvolution(List<KeyValuePair<string, StoredTensor>> tensors, string name, long inputs, long outputs, long kernel)
    {
        tensors.Add(new($"{name}.weight", FormulaTensors.Convolution($"{name}.weight", outputs, inputs, kernel, kernel)));
        tensors.Add(new($"{name}.bias", FormulaTensors.Make($"{name}.bias", 0.1f, 0, outputs)));
    }
}
