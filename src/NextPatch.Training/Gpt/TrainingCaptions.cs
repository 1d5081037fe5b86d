using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Data.Codes;
using NextPatch.Text.Features;
using NextPatch.Torch.Gpt;

namespace NextPatch.Training.Gpt;

// Shape letters: B images, K condition rows, L tokens of a caption, W numbers per token.

/// <summary>
/// Which captions the images of a folder of codes have, as features: one folder of features, or several with shares (short and long captions). Images
/// without any are left out and counted by reason. Which features an image takes is a function of (seed, place in the stream).
/// </summary>
internal sealed class TrainingCaptions : IDisposable
{
    private readonly CodeStore _store;
    private readonly IReadOnlyList<(ICaptionFeatures Features, TextFeatureOrigin Origin)> _sets;
    private readonly int[] _training;
    private readonly int[] _heldOut;
    private readonly SortedDictionary<string, int> _leftOut = new(StringComparer.Ordinal);

    private TrainingCaptions(CodeStore store, IReadOnlyList<(ICaptionFeatures Features, TextFeatureOrigin Origin)> sets, int tokenCount)
    {
        (_store, _sets, TokenCount) = (store, sets, tokenCount);
        var usable = Enumerable.Range(0, store.Count).Where(IsUsable).ToList();
        (_training, _heldOut) = ([.. usable.Where(i => i < store.TrainCount)], [.. usable.Where(i => i >= store.TrainCount)]);
        MeanLength = usable.Count == 0 ? 0 : usable.Average(i => (double)Length(LargestSetOf(i), i));
    }

    /// <summary>Numbers per token, W.</summary>
    public int Width => _sets[0].Features.Width;

    /// <summary>Most tokens of a caption; the rest is cut.</summary>
    public int TokenCount { get; }

    /// <summary>Images to train on that have a caption, in the store's order.</summary>
    public IReadOnlyList<int> Training => _training;

    /// <summary>Images for validation that have one.</summary>
    public IReadOnlyList<int> HeldOut => _heldOut;

    /// <summary>Images that are left out, by reason.</summary>
    public IReadOnlyDictionary<string, int> LeftOut => _leftOut;

    /// <summary>Tokens of a caption on average, of the features with the largest share.</summary>
    public double MeanLength { get; }

    /// <summary>Where the features come from, for checkpoints.</summary>
    public IReadOnlyList<TextFeatureOrigin> Origins => [.. _sets.Select(s => s.Origin)];

    /// <summary>Opens folders of features.</summary>
    /// <param name="store">The codes; they must know which line of the captions belongs to which image.</param>
    /// <param name="folders">With the share of each.</param>
    /// <param name="tokenCount">Most tokens of a caption; null: what the features say, else 120 as published.</param>
    /// <exception cref="ConfigException">Codes and features do not belong together, or features not to each other.</exception>
    /// <exception cref="NextPatchException">Features are missing or damaged, or no image has any.</exception>
    public static TrainingCaptions Open(CodeStore store, IReadOnlyList<TextFeatureSet> folders, int? tokenCount = null)
    {
        var lines = store.Manifest.Captions ?? throw new ConfigException(
            "The codes do not say which caption belongs to which image; encode the images with the file of captions "
            + "(CodeExtractionOptions.Captions).")
        {
            Settings = ["TextFeatures"],
        };
        var sets = new List<(ICaptionFeatures Features, TextFeatureOrigin Origin)>();
        try
        {
            foreach (var (folder, share) in folders)
            {
                var origin = FeatureFolder.OriginOf(folder) with { Share = share };
                sets.Add((FeatureFolder.Open(folder, [.. lines.Files.Select(f => (f.Key, f.Value))]), origin));
            }

            RequireFit(lines, folders, sets);
            var captions = new TrainingCaptions(store, sets, tokenCount ?? sets.Max(s => s.Origin.MaxTokens) ?? PublishedTokens);
            return captions._training.Length > 0 ? captions : throw new NextPatchException(
                $"None of the {store.TrainCount:N0} images to train on has a caption with features: {Describe(captions._leftOut)}.");
        }
        catch
        {
            sets.ForEach(s => s.Features.Dispose());
            throw;
        }
    }

    /// <summary>Published models take as many.</summary>
    public const int PublishedTokens = 120;

    /// <summary>"3 no features, 2 no line of captions".</summary>
    public static string Describe(IReadOnlyDictionary<string, int> leftOut) => string.Join(", ", leftOut.Select(p => $"{p.Value:N0} with {p.Key}"));

    /// <summary>The captions of images.</summary>
    /// <param name="images">Usable ones, by their number in the store, [B].</param>
    /// <param name="choice">0 to 1, decides which features each takes; null: those with the largest share.</param>
    /// <param name="isDropped">Whose captions are dropped, [B].</param>
    public CaptionBatch Read(ReadOnlySpan<int> images, Func<int, double>? choice, bool[] isDropped)
    {
        var (sets, lengths) = (new int[images.Length], new int[images.Length]);
        for (var i = 0; i < images.Length; i++)
        {
            sets[i] = choice is null ? LargestSetOf(images[i]) : SetOf(images[i], choice(i));
            lengths[i] = Length(sets[i], images[i]);
        }

        var rows = CaptionBatch.RowsFor(lengths);
        var features = new float[images.Length * rows * Width]; // [B, K, W]
        for (var i = 0; i < images.Length; i++)
        {
            var count = lengths[i] * Width;
            _sets[sets[i]].Features.Read(_store.CaptionLine(images[i]), features.AsSpan(((i + 1) * rows * Width) - count, count));
        }

        return new CaptionBatch(features, lengths, isDropped);
    }

    /// <summary>
    /// Captions to draw images of while the run goes on: of held-out images first, then, spread evenly, of those that are trained on.
    /// </summary>
    /// <param name="most">How many, where there are as many.</param>
    public IReadOnlyList<PromptFeatures> Prompts(int most)
    {
        var heldOut = _heldOut.Take(most).ToList();
        var others = Math.Min(most - heldOut.Count, _training.Length);
        var spread = Enumerable.Range(0, others).Select(i => _training[(int)((long)i * _training.Length / others)]);
        return [.. heldOut.Concat(spread).Select(image =>
        {
            var (line, length) = (_store.CaptionLine(image), Length(LargestSetOf(image), image));
            var features = new float[length * Width];
            _sets[LargestSetOf(image)].Features.Read(line, features);
            return new PromptFeatures($"caption {line + 1}", features, Width);
        })];
    }

    public void Dispose()
    {
        foreach (var (features, _) in _sets)
        {
            features.Dispose();
        }
    }

    private static void RequireFit(
        CaptionLines lines, IReadOnlyList<TextFeatureSet> folders, List<(ICaptionFeatures Features, TextFeatureOrigin Origin)> sets)
    {
        var problems = new List<string>();
        for (var i = 0; i < sets.Count; i++)
        {
            var ((features, origin), folder, first) = (sets[i], folders[i].Folder, sets[0]);
            if (!(folders[i].Share > 0 && double.IsFinite(folders[i].Share)))
            {
                problems.Add($"The share {folders[i].Share} of the features in '{folder}' must be a number above 0.");
            }

            if (origin.CaptionsHash is { } hash ? hash != lines.Hash : features.Count != lines.Count)
            {
                problems.Add(
                    $"The features in '{folder}' belong to other captions ({features.Count:N0}{Short(origin.CaptionsHash)}) than the codes "
                    + $"({lines.Count:N0}{Short(lines.Hash)}); encode the same file of captions, or the images with the captions of the features.");
            }

            if (features.Width != first.Features.Width)
            {
                problems.Add(
                    $"The features in '{folder}' have {features.Width} numbers per token, those in '{folders[0].Folder}' {first.Features.Width}; all "
                    + "must come from one encoder.");
            }
            else if (WayOf(origin) != WayOf(first.Origin))
            {
                problems.Add(
                    $"The features in '{folder}' come from another encoder or another cleaning ({origin.Encoder}, {origin.Clean}) than those in "
                    + $"'{folders[0].Folder}' ({first.Origin.Encoder}, {first.Origin.Clean}); prompts can go through one only.");
            }
        }

        if (problems.Count > 0)
        {
            throw new ConfigException(problems) { Settings = ["TextFeatures"] };
        }
    }

    private static (string?, string?, string?) WayOf(TextFeatureOrigin origin) => (origin.EncoderHash, origin.TokenizerHash, origin.Clean);

    private static string Short(string? hash) => hash is null ? "" : $", SHA-256 {hash[..Math.Min(12, hash.Length)]}";

    private bool IsUsable(int image)
    {
        var line = _store.CaptionLine(image);
        var reason = line < 0 ? "no line of captions" : _sets.All(s => s.Features.Length(line) == 0) ? _sets[0].Features.ProblemOf(line)! : null;
        if (reason is not null)
        {
            _leftOut[reason] = _leftOut.GetValueOrDefault(reason) + 1;
        }

        return reason is null;
    }

    private int Length(int set, int image) => Math.Min(TokenCount, _sets[set].Features.Length(_store.CaptionLine(image)));

    /// <summary>By shares among the features that the image has.</summary>
    private int SetOf(int image, double choice)
    {
        var line = _store.CaptionLine(image);
        var left = choice * _sets.Sum(s => s.Features.Length(line) > 0 ? s.Origin.Share : 0);
        var last = 0;
        for (var i = 0; i < _sets.Count; i++)
        {
            if (_sets[i].Features.Length(line) > 0)
            {
                last = i;
                left -= _sets[i].Origin.Share;
                if (left < 0)
                {
                    break;
                }
            }
        }

        return last;
    }

    private int LargestSetOf(int image)
    {
        var line = _store.CaptionLine(image);
        return Enumerable.Range(0, _sets.Count).Where(i => _sets[i].Features.Length(line) > 0).MaxBy(i => _sets[i].Origin.Share);
    }
}

/// <summary>Features of captions to train on.</summary>
/// <param name="Folder">As <c>encode-text</c> writes it, or in the published layout.</param>
/// <param name="Share">How often an image takes its caption from these, in proportion to the shares of the others.</param>
public sealed record TextFeatureSet(string Folder, double Share = 1);
