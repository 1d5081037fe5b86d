using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;

namespace NextPatch.Text.Features;

/// <summary>
/// LlamaGen's layout: {file name up to its first point}/{line from 0}.npy, float32 [1, tokens, width]. What cannot be used has no file.
/// </summary>
internal sealed class PublishedWriter(string folder, int width) : IFeatureWriter
{
    public bool Has(int index, Caption caption) => File.Exists(PathOf(caption));

    public void Write(IReadOnlyList<EncodedCaption> captions)
    {
        foreach (var (caption, _, features) in captions.Where(c => c.Features.Length > 0))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(PathOf(caption))!);
            StoredFile.Replace(
                PathOf(caption), stream => NpyFile.Write(stream, HostTensor.FromSingles([1, features.Length / width, width], features.Span)));
        }
    }

    public void Finish()
    {
    }

    public void Dispose()
    {
    }

    private string PathOf(Caption caption) => Path.Combine(
        folder, PathComponent.Require(caption.File.Split('.')[0], $"the file name '{caption.File}'"), $"{caption.Line}.npy");
}
