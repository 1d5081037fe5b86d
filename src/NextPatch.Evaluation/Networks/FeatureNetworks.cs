using System.Globalization;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Perception;

namespace NextPatch.Evaluation.Networks;

/// <summary>Opens feature networks. What a file holds is seen in its tensors; a name only confirms it.</summary>
public static partial class FeatureNetworks
{
    /// <summary>The network in whose features, and no others, a Fréchet distance is an FID.</summary>
    public const string Inception = "inception";

    /// <summary>The network whose weights ship inside (Apache-2.0, see Resources/README.md): what is used where nothing else is at hand.</summary>
    public const string BuiltIn = "mobilenet-v1-0.25-128";

    private const string SqueezeNetName = "squeezenet-1.1";
    private const string Known = "inception, resnet20 (or another depth), mobilenet-v1-0.25-128 (or another width and side), squeezenet-1.1";

    /// <summary>Opens a network.</summary>
    /// <param name="name">As <see cref="IFeatureNetwork.Name"/>; null for whatever the file holds.</param>
    /// <param name="weightsPath"><c>.safetensors</c>, or <c>.pt</c>, <c>.pth</c>, <c>.th</c> of torch.save; null for the published Inception weights
    /// in the cache, or those of <see cref="BuiltIn"/>; with neither name nor path the first that is there.</param>
    /// <param name="resize">How images are brought to the network's size; null for the usual way: the Inception network's is
    /// <see cref="ResizeProtocol.Adm"/>, all others' <see cref="ResizeProtocol.Clean"/>.</param>
    /// <returns>The network; the caller disposes it.</returns>
    /// <exception cref="ConfigException">No such network is known, or a network other than these two has no path.</exception>
    /// <exception cref="NextPatchException">The file is missing, damaged or holds another network.</exception>
    public static IFeatureNetwork Open(string? name, string? weightsPath, ResizeProtocol? resize = null)
    {
        if (name is not null && !KnownName().IsMatch(name))
        {
            throw new ConfigException($"There is no feature network '{name}'; known are {Known}.");
        }

        if (weightsPath is null && (name ?? (File.Exists(PytorchFidInception.CachePath) ? Inception : BuiltIn)) == BuiltIn)
        {
            return OpenBuiltIn(resize);
        }

        if (weightsPath is null && name is not null and not Inception)
        {
            throw new ConfigException($"The weights of {name} are kept nowhere by themselves; give the path of their file.");
        }

        if (weightsPath is not null && !Path.Exists(weightsPath))
        {
            throw new NextPatchException(
                $"'{weightsPath}' does not exist; check the "
                + $"path.{(name is null or Inception ? $" The FID Inception network: {PytorchFidInception.Whereabouts}" : "")}");
        }

        NativeBackend.EnsureLoaded();
        LargeBlocks.Keep(); // extraction was half as fast again
        var path = weightsPath ?? PytorchFidInception.Find();
        using var file = WeightsFile.Open(path);
        var hash = FileHash.ComputeForWeights(file.Path);
        if (weightsPath is null)
        {
            PytorchFidInception.Check(path, hash);
        }

        return Create(name, file, hash, resize);
    }

    private static MobileNetV1 OpenBuiltIn(ResizeProtocol? resize)
    {
        NativeBackend.EnsureLoaded();
        LargeBlocks.Keep();
        using var resource = typeof(FeatureNetworks).Assembly.GetManifestResourceStream(BuiltIn + ".safetensors")!;
        var file = new byte[resource.Length];
        resource.ReadExactly(file);
        var weights = new PretrainedWeights(SafetensorsFile.Read(file, BuiltIn), $"the built-in {BuiltIn}", BuiltIn);
        return new MobileNetV1(weights, BuiltIn, Convert.ToHexStringLower(SHA256.HashData(file)), side: 128, resize ?? ResizeProtocol.Clean);
    }

    private static FeatureNetwork Create(string? name, WeightsFile file, string hash, ResizeProtocol? resize)
    {
        var tensors = file.Tensors;
        var (small, weights) = (resize ?? ResizeProtocol.Clean, new PretrainedWeights(tensors, file.Path, name ?? "a feature network"));
        if (tensors.ContainsKey("Conv2d_1a_3x3.conv.weight"))
        {
            Confirm(name, Inception, file.Path);
            return new InceptionNetwork(weights, Inception, hash, resize ?? ResizeProtocol.Adm);
        }

        if (tensors.ContainsKey("layer1.0.conv1.weight"))
        {
            var found = $"resnet{CifarResNet.DepthOf(tensors.ContainsKey)}";
            Confirm(name, found, file.Path);
            return new CifarResNet(weights, found, hash, small);
        }

        if (tensors.ContainsKey("block1.dw.weight"))
        {
            var (found, side) = MobileNet(name, file, MobileNetV1.WidthOf(weights));
            Confirm(name, found, file.Path);
            return new MobileNetV1(weights, found, hash, side, small);
        }

        if (tensors.ContainsKey("fire2.squeeze1x1.weight"))
        {
            Confirm(name, SqueezeNetName, file.Path);
            return new SqueezeNetNetwork(weights, SqueezeNetName, hash, small);
        }

        throw new DataFormatException(
            $"'{file.Path}' holds no known feature network ({tensors.Count} tensors, the first is '{tensors.Keys.FirstOrDefault()}'); known are "
            + $"{Known}.");
    }

    /// <summary>The side is not in the weights: the wanted name, the file's description or its own name tells it.</summary>
    private static (string Name, int Side) MobileNet(string? name, WeightsFile file, double width)
    {
        foreach (var told in (string?[])[name, file.Metadata.GetValueOrDefault("arch"), Path.GetFileNameWithoutExtension(file.Path)])
        {
            if (told is not null && MobileNetName().Match(told) is { Success: true } match
                && int.TryParse(match.Groups["side"].ValueSpan, CultureInfo.InvariantCulture, out var side) && side is >= 32 and <= 4096)
            {
                return (string.Create(CultureInfo.InvariantCulture, $"mobilenet-v1-{width}-{side}"), side);
            }
        }

        throw new ConfigException(
            string.Create(
            CultureInfo.InvariantCulture, $"'{file.Path}' holds a MobileNet v1 of width {width} but does not tell the side of its images; name the "
            + $"network, for instance mobilenet-v1-{width}-128."));
    }

    private static void Confirm(string? wanted, string found, string path)
    {
        if (wanted is not null && wanted != found)
        {
            throw new DataFormatException(
                $"'{path}' holds the weights of {found}, not of {wanted}; name the network it holds or give the other file.");
        }
    }

    [GeneratedRegex(@"^(inception|resnet[1-9]\d{0,3}|mobilenet-v1-\d(\.\d+)?-\d{2,4}|squeezenet-1\.1)$")]
    private static partial Regex KnownName();

    [GeneratedRegex(@"^mobilenet-v1-[\d.]+-(?<side>\d{2,4})$")]
    private static partial Regex MobileNetName();
}
