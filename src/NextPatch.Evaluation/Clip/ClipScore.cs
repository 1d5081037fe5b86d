using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Text.Features;
using NextPatch.Torch.Perception;

namespace NextPatch.Evaluation.Clip;

/// <summary>
/// How well images show their prompts: the mean cosine between the points of both in CLIP's space, by the published protocol of text-to-image models
/// (LlamaGen, after GigaGAN; not times 100).
/// <code>
/// var score = ClipScore.Measure("samples", "captions.txt", "clip-vit-base-patch32");
/// Console.WriteLine($"CLIP score {score.ClipScore:0.0000} of {score.Images} images");
/// </code>
/// </summary>
/// <remarks>
/// Images: the middle square, Lanczos to 256, bytes by cutting, CLIP's bicubic to its own side. Prompts: the first three tokens of "A photo depicts "
/// come before theirs, the whole is cut at 77. Only a batch of images is in memory.
/// </remarks>
public static class ClipScore
{
    private const string Prefix = "A photo depicts ";
    private const int PrefixTokens = 3;
    private const int BatchSize = 32;

    /// <summary>Measures images against prompts, the first against the first and so on.</summary>
    /// <param name="samples">A folder or archive of images, in natural order of their names (2.png before 10.png), an npz, or what <c>nextpatch
    /// sample</c> wrote.</param>
    /// <param name="prompts">A list of prompts (.txt, .csv, .tsv, .jsonl), at least as many as images.</param>
    /// <param name="weights">Weights of CLIP ViT-B/32 (OpenAI's names or those of transformers), <c>merges.txt</c> beside them.</param>
    /// <param name="merges">The list of merges; null: <c>merges.txt</c>, else <c>bpe_simple_vocab_16e6.txt.gz</c>, beside the weights.</param>
    /// <param name="progress">Told after every batch.</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <exception cref="ConfigException">There are fewer prompts than images.</exception>
    /// <exception cref="NextPatchException">Something is missing, damaged, or cannot be read.</exception>
    public static ClipScoreResult Measure(
        string samples, string prompts, string weights, string? merges = null, IProgress<EvaluationProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        using var file = WeightsFile.Open(weights, WeightsKind.Model);
        using var network = new ClipNetwork(new PretrainedWeights(file.Tensors, file.Path, ClipNetwork.Known));
        var tokenizer = ClipTokenizer.Open(merges ?? FindMerges(file.Path), network.Vocabulary);
        var texts = CaptionFile.Read(prompts, 0).Select(caption => caption.Text ?? "").ToList();
        using var images = ClipImageList.Open(samples, cancellation);
        if (texts.Count < images.Count)
        {
            throw new ConfigException(
                $"'{prompts}' holds {texts.Count} prompts, but '{samples}' {images.Count} images; each image needs its prompt, in the same order.")
            { Settings = ["Prompts"] };
        }

        var counter = EvaluationProgress.Begin(progress, "CLIP score", images.Count);
        var (cosines, cut) = (new List<double>(images.Count), 0);
        var size = 3 * network.Side * network.Side;
        foreach (var batch in images.Read(BatchSize))
        {
            cancellation.ThrowIfCancellationRequested();
            var planes = new float[batch.Count * size];
            Parallel.For(0, batch.Count, i => ClipImages.Prepare(batch[i](), network.Side, planes.AsSpan(i * size, size)));
            var ids = new List<int>(batch.Count * network.Length);
            for (var i = 0; i < batch.Count; i++)
            {
                ids.AddRange(WithPrefix(tokenizer, texts[cosines.Count + i], network.Length, out var isCut));
                cut += isCut ? 1 : 0;
            }

            cosines.AddRange(Cosines(network.EncodeImages(planes), network.EncodeTexts([.. ids]), batch.Count));
            counter?.Report(cosines.Count);
        }

        return new ClipScoreResult
        {
            ClipScore = cosines.Average(),
            StandardError = cosines.Count > 1 ? Deviation(cosines) / Math.Sqrt(cosines.Count) : null,
            Images = cosines.Count,
            CutPrompts = cut,
            Samples = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(samples))),
            Prompts = Path.GetFileName(prompts),
            WeightsHash = FileHash.ComputeForWeights(file.Path, cancellation),
        };
    }

    /// <summary>Begin, the prefix, the text and end, cut at so many ids.</summary>
    /// <remarks>As published: the text is cut first, the prefix pushes its last ids out, and the last place becomes the end's where it is not
    /// empty.</remarks>
    internal static int[] WithPrefix(ClipTokenizer tokenizer, string text, int length, out bool isCut)
    {
        var own = tokenizer.Encode(text, length, out _);
        int[] all = [own[0], .. tokenizer.Encode(Prefix).Take(PrefixTokens), .. own[1..]];
        isCut = all.AsSpan(length).ContainsAnyExcept(0);
        all = all[..length];
        all[^1] = all[^1] > 0 ? tokenizer.End : 0;
        return all;
    }

    private static string FindMerges(string weights)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(weights))!;
        string[] names = ["merges.txt", "bpe_simple_vocab_16e6.txt.gz"];
        return names.Select(name => Path.Combine(folder, name)).FirstOrDefault(File.Exists) ?? throw new NextPatchException(
            $"CLIP needs its list of merges: put merges.txt beside '{weights}', or name it by ClipMerges.")
        { Settings = ["ClipMerges"] };
    }

    private static IEnumerable<double> Cosines(float[] images, float[] texts, int count)
    {
        var width = images.Length / count;
        for (var i = 0; i < count; i++)
        {
            var (dot, image, text) = (0.0, 0.0, 0.0);
            for (var j = i * width; j < (i + 1) * width; j++)
            {
                dot += (double)images[j] * texts[j];
                image += (double)images[j] * images[j];
                text += (double)texts[j] * texts[j];
            }

            yield return dot / Math.Max(Math.Sqrt(image * text), 1e-8);
        }
    }

    private static double Deviation(List<double> values)
    {
        var mean = values.Average();
        return Math.Sqrt(values.Sum(v => (v - mean) * (v - mean)) / (values.Count - 1));
    }
}
