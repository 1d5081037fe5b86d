using NextPatch.Core;

namespace NextPatch.Cli.Quickstart;

/// <summary>
/// Where a quickstart puts what it makes. A folder that holds an earlier quickstart is emptied of its parts; any other folder with content is
/// refused, so nothing is lost.
/// </summary>
internal sealed class QuickstartFolder
{
    private const string Marker = ".quickstart";

    private QuickstartFolder(string root) => Root = root;

    public string Root { get; }

    public string Tokenizer => Path.Combine(Root, "tokenizer");

    public string Codes => Path.Combine(Root, "codes");

    public string Model => Path.Combine(Root, "model");

    public string Samples => Path.Combine(Root, "samples");

    public string SamplesNpz => Path.Combine(Root, "samples.npz");

    public string ReportHtml => Path.Combine(Root, "report.html");

    public string ReportJson => Path.Combine(Root, "report.json");

    /// <summary>Measurements of a few steps; removed after use.</summary>
    public string Scratch => Path.Combine(Root, ".scratch");

    /// <exception cref="NextPatchException">The folder cannot be written, or holds something else.</exception>
    public static QuickstartFolder Prepare(string output)
    {
        var folder = new QuickstartFolder(Path.GetFullPath(output));
        var marker = Path.Combine(folder.Root, Marker);
        try
        {
            if (Directory.Exists(folder.Root) && Directory.EnumerateFileSystemEntries(folder.Root).Any() && !File.Exists(marker))
            {
                throw new NextPatchException($"{folder.Root} already holds other files. Choose an empty or new folder with --output.");
            }

            Directory.CreateDirectory(folder.Root);
            File.WriteAllText(marker, "This folder is written by 'nextpatch quickstart', which replaces its parts when it is run again.\n");
            foreach (var part in (string[])[folder.Tokenizer, folder.Codes, folder.Model, folder.Samples, folder.Scratch])
            {
                if (Directory.Exists(part))
                {
                    Directory.Delete(part, recursive: true);
                }
            }

            foreach (var file in (string[])[folder.SamplesNpz, folder.ReportHtml, folder.ReportJson, Path.Combine(folder.Root, "samples.json"),
                Path.Combine(folder.Root, "grid.png")])
            {
                File.Delete(file);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NextPatchException($"The folder {folder.Root} cannot be written: {e.Message} Choose another with --output.", e);
        }

        return folder;
    }
}
