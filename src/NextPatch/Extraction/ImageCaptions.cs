using NextPatch.Core;
using NextPatch.Data.Codes;
using NextPatch.Data.Datasets;
using NextPatch.Text.Features;

namespace NextPatch.Extraction;

/// <summary>Which line of a file of captions belongs to which image, by the paths that the lines name.</summary>
internal sealed class ImageCaptions
{
    private readonly int[] _lines;

    private ImageCaptions(int[] lines, CaptionLines origin) => (_lines, Origin) = (lines, origin);

    /// <summary>The captions that lines count.</summary>
    public CaptionLines Origin { get; }

    /// <summary>Images that no line names.</summary>
    public int MissingCount => _lines.Count(line => line < 0);

    /// <summary>Line of an image's caption; -1 where there is none.</summary>
    public int LineOf(int image) => _lines[image];

    /// <summary>Joins images and captions.</summary>
    /// <param name="captions">File or folder of captions.</param>
    /// <param name="images">An image's path must end in the one of a caption. Of several lines with one path the first goes to the first image with
    /// it.</param>
    /// <param name="cancellation">Stops the reading.</param>
    /// <exception cref="NextPatchException">The captions cannot be read, or name none of the images.</exception>
    public static ImageCaptions Join(string captions, ChosenImages images, CancellationToken cancellation)
    {
        var byName = new Dictionary<string, List<(string Path, int Line)>>(StringComparer.Ordinal);
        var files = new List<KeyValuePair<string, int>>();
        var line = 0;
        foreach (var caption in CaptionFile.Read(captions, 0))
        {
            var name = caption.File.Split('.')[0];
            if (files.Count == 0 || files[^1].Key != name)
            {
                files.Add(KeyValuePair.Create(name, 0));
            }

            files[^1] = KeyValuePair.Create(name, files[^1].Value + 1);
            if (caption.Image is { Length: > 0 } path)
            {
                path = Normal(path);
                (byName.TryGetValue(NameOf(path), out var known) ? known : byName[NameOf(path)] = []).Add((path, line));
            }

            line++;
        }

        var lines = new int[images.Count];
        for (var i = 0; i < lines.Length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            var path = Normal(images.PathOf(i));
            var found = byName.GetValueOrDefault(NameOf(path));
            var at = found?.FindIndex(c => EndsIn(path, c.Path)) ?? -1;
            lines[i] = at < 0 ? -1 : found![at].Line;
            if (at >= 0 && found!.Count > at + 1 && found.Skip(at + 1).Any(c => c.Path == found[at].Path))
            {
                found.RemoveAt(at);
            }
        }

        return lines.All(l => l < 0)
            ? throw new NextPatchException(
                $"No line of '{captions}' names one of the {images.Count:N0} images ('{images.PathOf(0)}'): a line must hold the image's path, or "
                + "its end, as path, file_name, image or image_path beside the caption.")
            : new ImageCaptions(lines, new CaptionLines { Hash = CaptionFile.HashOf(captions, cancellation), Files = files });
    }

    /// <summary>The last part of a path; "cat.jpg" of "x.tar: cat.jpg".</summary>
    private static string NameOf(string path)
    {
        var name = path[(path.LastIndexOf('/') + 1)..];
        return name.LastIndexOf(": ", StringComparison.Ordinal) is >= 0 and var at ? name[(at + 2)..] : name;
    }

    private static string Normal(string path)
    {
        path = path.Replace('\\', '/');
        return path.StartsWith("./", StringComparison.Ordinal) ? path[2..] : path;
    }

    /// <summary>"a/photos/cat.jpg" and "x.tar: photos/cat.jpg" end in "photos/cat.jpg" but not in "s/cat.jpg".</summary>
    private static bool EndsIn(string path, string end)
        => path.EndsWith(end, StringComparison.Ordinal) && (path.Length == end.Length || end[0] == '/' || path[^(end.Length + 1)] is '/' or ' ');
}
