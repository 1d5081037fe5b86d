using NextPatch.Core;
using NextPatch.Data.Codes;
using NextPatch.Torch.Tokenizer;

namespace NextPatch.Evaluation.Protocol;

/// <summary>What a tokenizer makes of the codes of a store: reconstructions.</summary>
internal sealed class CodeImageSet : ImageSet
{
    private readonly CodeStore _store;
    private readonly VqTokenizer _tokenizer;
    private readonly int _first;

    private CodeImageSet(CodeStore store, VqTokenizer tokenizer, int first, int count)
        => (_store, _tokenizer, _first, Count) = (store, tokenizer, first, count);

    public override int Count { get; }

    public override (int Height, int Width) Size => (_tokenizer.Config.ImageSide, _tokenizer.Config.ImageSide);

    /// <summary>Opens a store and its tokenizer.</summary>
    /// <param name="folder">Folder of codes.</param>
    /// <param name="tokenizer">Tokenizer folder or weights file.</param>
    /// <param name="tokenizerHash">Hash of its weights, to be compared with what the codes remember.</param>
    /// <param name="part">train or test (the images held out); null: all of them.</param>
    /// <exception cref="NextPatchException">Missing, damaged, of another tokenizer, or without that part.</exception>
    public static CodeImageSet Open(string folder, string tokenizer, string tokenizerHash, string? part)
    {
        var store = CodeStore.Open(folder);
        try
        {
            var heldOut = store.Manifest.HeldOutCount;
            if (part == "test" && heldOut == 0)
            {
                throw new NextPatchException($"'{folder}' holds no images apart from training (heldOutCount is 0); leave the part out.");
            }

            if (store.Manifest.TokenizerHash is { } expected && expected != tokenizerHash)
            {
                throw new NextPatchException(
                    $"The tokenizer in {tokenizer} has the hash {tokenizerHash[..12]}, but the codes in {folder} were made by "
                        + $"{expected[..Math.Min(12, expected.Length)]}: images would be noise. Name the right one with Tokenizer.")
                { Settings = ["Tokenizer"] };
            }

            var loaded = VqTokenizer.Load(tokenizer, store.Manifest.GridSide);
            if (loaded.Config.GridSide != store.Manifest.GridSide || loaded.Config.CodebookSize < store.Manifest.VocabularySize)
            {
                loaded.Dispose();
                throw new NextPatchException(
                    $"The tokenizer in {tokenizer} has a grid of {loaded.Config.GridSide}x{loaded.Config.GridSide} and "
                        + $"{loaded.Config.CodebookSize} codes, but the codes in {folder} are {store.Manifest.GridSide}x{store.Manifest.GridSide} "
                        + $"of {store.Manifest.VocabularySize}; name the tokenizer that made them.");
            }

            var first = part == "test" ? store.TrainCount : 0;
            var count = part == "train" ? store.TrainCount : store.Count - first;
            return new CodeImageSet(store, loaded, first, count)
            {
                Name = store.Manifest.Name,
                Layout = "codes",
                Part = part,
                Labels = [.. Enumerable.Range(first, count).Select(store.Label)],
                ClassCount = store.Manifest.ClassNames.Count,
                Rounding = TokenizerRounding,
                IsReconstruction = true,
            };
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }

    /// <summary>What <see cref="ImageTensors.ToPixels"/> does.</summary>
    public const string TokenizerRounding = "truncate(127.5 x + 128)";

    public override IEnumerable<ImageBatch> Read(CancellationToken cancellation = default)
    {
        var (side, length) = (_tokenizer.Config.ImageSide, _store.CodesPerImage);
        for (var done = 0; done < Count; done += BatchSize)
        {
            var count = Math.Min(BatchSize, Count - done);
            var codes = new int[count * length]; // [B, T]
            for (var i = 0; i < count; i++)
            {
                _store.ReadCodes(_first + done + i, augmentation: 0, codes.AsSpan(i * length, length));
            }

            yield return new ImageBatch(count, side, side, _tokenizer.DecodePixels(codes, cancellation)); // [B, S, S, 3]
        }
    }

    protected override void Dispose(bool disposing)
    {
        _store.Dispose();
        _tokenizer.Dispose();
        base.Dispose(disposing);
    }
}
