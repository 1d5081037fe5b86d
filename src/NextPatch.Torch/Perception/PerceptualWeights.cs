using NextPatch.Core;
using NextPatch.Core.Checkpoints;

namespace NextPatch.Torch.Perception;

/// <summary>Which perceptual loss some files of weights make.</summary>
internal static class PerceptualWeights
{
    private const string SqueezeNetKey = "fire2.squeeze1x1.weight";
    private const string VggKey = "features.0.weight";
    private const string VggSliceKey = "net.slice1.0.weight";

    /// <param name="files">None, the features of SqueezeNet 1.1, or VGG-16 and the heads of LPIPS in one file or two.</param>
    /// <returns>Null without files.</returns>
    /// <exception cref="ConfigException">The files are of another kind.</exception>
    public static IPerceptualLoss? Open(IReadOnlyList<string> files)
    {
        var opened = new List<WeightsFile>();
        try
        {
            foreach (var file in files)
            {
                opened.Add(WeightsFile.Open(file));
            }

            return opened.Count == 0 ? null : Create(opened, string.Join(" and ", files));
        }
        finally
        {
            opened.ForEach(f => f.Dispose());
        }
    }

    private static IPerceptualLoss Create(List<WeightsFile> files, string source)
    {
        var tensors = files.SelectMany(f => f.Tensors).DistinctBy(t => t.Key).ToDictionary();
        if (tensors.ContainsKey(SqueezeNetKey))
        {
            return new SqueezeNetPerception(tensors, source);
        }

        return tensors.ContainsKey(VggKey) || tensors.ContainsKey(VggSliceKey)
            ? new Lpips(tensors, tensors, source)
            : throw new ConfigException(
                $"'{source}' makes no perceptual loss: neither SqueezeNet 1.1 ({SqueezeNetKey}) nor VGG-16 ({VggKey}) is in there. Give the "
                + $"features of one of them; of VGG-16 also the heads of LPIPS.");
    }
}
