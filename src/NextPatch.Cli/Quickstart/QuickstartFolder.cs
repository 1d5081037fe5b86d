using System.Text.Json;
using System.Text.Json.Serialization;
using NextPatch.Core;
using NextPatch.Core.Files;

namespace NextPatch.Cli.Quickstart;

/// <summary>
/// Where a quickstart puts what it makes. One of the same options that was stopped is continued; of any other earlier quickstart the parts are
/// deleted. A folder with other content is refused, so nothing is lost.
/// </summary>
internal sealed class QuickstartFolder
{
    private const string Marker = ".quickstart";

    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        Converters = { new JsonStringEnumConverter() },
    };

    private QuickstartFolder(string root) => Root = root;

    /// <summary>How far a stopped quickstart of the same options came; null where there is none.</summary>
    public QuickstartState? Earlier { get; private set; }

    public string Root { get; }

    public string Tokenizer => Path.Combine(Root, "tokenizer");

    public string Codes => Path.Combine(Root, "codes");

    /// <summary>Captions of drawn images.</summary>
    public string Captions => Path.Combine(Root, "captions.jsonl");

    /// <summary>Their features.</summary>
    public string Features => Path.Combine(Root, "features");

    public string Model => Path.Combine(Root, "model");

    /// <summary>The run of next-token training that the model is compared with.</summary>
    public string NextToken => Path.Combine(Root, "next-token");

    public string ComparisonHtml => Path.Combine(Root, "compare.html");

    public string Samples => Path.Combine(Root, "samples");

    public string SamplesNpz => Path.Combine(Root, "samples.npz");

    public string ReportHtml => Path.Combine(Root, "report.html");

    public string ReportJson => Path.Combine(Root, "report.json");

    /// <summary>Measurements of a few steps; removed after use.</summary>
    public string Scratch => Path.Combine(Root, ".scratch");

    /// <exception cref="NextPatchException">The folder cannot be written, or holds something else.</exception>
    public static QuickstartFolder Prepare(QuickstartOptions options)
    {
        var folder = new QuickstartFolder(Path.GetFullPath(options.Output));
        var marker = Path.Combine(folder.Root, Marker);
        try
        {
            if (Directory.Exists(folder.Root) && Directory.EnumerateFileSystemEntries(folder.Root).Any() && !File.Exists(marker))
            {
                throw new NextPatchException($"{folder.Root} already holds other files. Choose an empty or new folder with --output.");
            }

            Directory.CreateDirectory(folder.Root);
            folder.Earlier = File.Exists(folder.ReportJson) ? null : ReadState(marker, options);
            if (folder.Earlier is not null)
            {
                if (Directory.Exists(folder.Scratch))
                {
                    Directory.Delete(folder.Scratch, recursive: true); // killed while it measured
                }

                return folder;
            }

            File.WriteAllText(marker, "This folder is written by 'nextpatch quickstart', which replaces its parts when it is run again.\n");
            foreach (var part in (string[])[folder.Tokenizer, folder.Codes, folder.Features, folder.Model, folder.NextToken,
                folder.Samples, folder.Scratch])
            {
                if (Directory.Exists(part))
                {
                    Directory.Delete(part, recursive: true);
                }
            }

            foreach (var file in (string[])[folder.SamplesNpz, folder.ReportHtml, folder.ReportJson, folder.ComparisonHtml, folder.Captions,
                Path.Combine(folder.Root, "samples.json"),
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

    /// <summary>Remembers what a later command needs to continue.</summary>
    public void Save(QuickstartState state) => AtomicFile.WriteText(Path.Combine(Root, Marker), JsonSerializer.Serialize(state, Format));

    private static QuickstartState? ReadState(string marker, QuickstartOptions options)
    {
        try
        {
            var state = File.Exists(marker) ? JsonSerializer.Deserialize<QuickstartState>(File.ReadAllText(marker), Format) : null;
            return state is not null && state.Options with { Output = options.Output } == options ? state : null;
        }
        catch (JsonException)
        {
            return null; // it was stopped before there was anything to keep
        }
    }
}

/// <summary>What was decided before a quickstart was stopped.</summary>
/// <param name="Options">What the person chose.</param>
/// <param name="Settings">With steps fitted to the time.</param>
/// <param name="TrainImages">Images in use for training.</param>
/// <param name="HeldOutImages">Held-out images in use.</param>
/// <param name="HasTraining">Whether the transformer's steps are fitted too; the tokenizer's are.</param>
internal sealed record QuickstartState(
    QuickstartOptions Options, QuickstartSettings Settings, int TrainImages, int HeldOutImages, bool HasTraining);
