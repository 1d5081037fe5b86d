using System.Text.Json;
using NextPatch.Core.Files;

namespace NextPatch.Data.Codes;

/// <summary>
/// The published layout as it grows: one file of codes and one of a label per image, and <c>dataset.json</c> for what they do not say.
/// </summary>
/// <remarks>Whole after a kill, because every file is replaced as a whole; after a power failure files that were written last may be empty, since
/// waiting for the disk for each of millions of files would take longer than encoding them.</remarks>
internal sealed class LlamaGenCodeFiles : CodeFiles
{
    private readonly CodeManifest _planned;
    private readonly string _codes;
    private readonly string _labels;
    private readonly string _manifest;
    private int _next;

    /// <param name="folder">Exists.</param>
    /// <param name="planned">Its name and image side name the files' folders.</param>
    /// <param name="count">Images that are kept of an earlier run.</param>
    public LlamaGenCodeFiles(string folder, CodeManifest planned, int count)
    {
        (_planned, _next) = (planned, count);
        var name = LlamaGenCodes.FolderName(planned.Name, planned.ImageSide);
        (_codes, _labels) = (Path.Combine(folder, name + LlamaGenCodes.CodesSuffix), Path.Combine(folder, name + LlamaGenCodes.LabelsSuffix));
        _manifest = Path.Combine(folder, CodeStore.ManifestName);
        foreach (var part in (ReadOnlySpan<string>)[AtomicFile.PartialOf(_codes), AtomicFile.PartialOf(_labels)])
        {
            Directory.CreateDirectory(part);
            foreach (var file in Directory.GetFiles(part))
            {
                // Written after the journal: if the run now ends with fewer images, they must not stay.
                if (LlamaGenCodes.NumberOf(file) >= count)
                {
                    File.Delete(file);
                }
            }
        }
    }

    public override void Append(ReadOnlySpan<int> codes, ReadOnlySpan<int> labels, ReadOnlySpan<int> captions)
    {
        var size = codes.Length / Math.Max(1, labels.Length);
        for (var i = 0; i < labels.Length; i++)
        {
            LlamaGenCodeWriter.Write(
                AtomicFile.PartialOf(_codes), AtomicFile.PartialOf(_labels), _next++, codes.Slice(i * size, size), _planned.Augmentations, labels[i]);
        }
    }

    public override void Flush()
    {
    }

    public override IReadOnlyList<string> Finish(CodeManifest manifest)
    {
        AtomicFile.WriteFlushed(
            AtomicFile.PartialOf(_manifest), stream => JsonSerializer.Serialize(stream, manifest, CodeManifestJson.Default.CodeManifest));
        return [Path.GetFileName(_labels), CodeStore.ManifestName, Path.GetFileName(_codes)];
    }

    public override void Dispose()
    {
    }
}
