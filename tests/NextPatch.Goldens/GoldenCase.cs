using System.Text.Json.Nodes;
using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;

namespace NextPatch.Goldens;

/// <summary>One entry of the manifest: the function that was recorded, its settings, files and tolerances.</summary>
internal sealed class GoldenCase
{
    private const string Unconditional = "cls_embedding.uncond_embedding";

    private readonly string _folder;
    private readonly Dictionary<string, IReadOnlyDictionary<string, HostTensor>> _arrays = [];

    public GoldenCase(string folder, JsonObject entry)
    {
        _folder = folder;
        Entry = entry;
        Name = (string?)entry["name"] ?? throw new InvalidOperationException("a case has no name");
        Official = (string?)entry["official"] ?? "";
        Config = entry["config"] as JsonObject ?? [];
        Files = [.. (entry["files"] as JsonArray ?? []).Select(f => (string)f!)];
    }

    public string Name { get; }

    /// <summary>The published function, with a remark: what kind of case this is.</summary>
    public string Official { get; }

    public JsonObject Entry { get; }

    public JsonObject Config { get; }

    public IReadOnlyList<string> Files { get; }

    /// <summary>"c2i" or "t2i" where the case has a transformer.</summary>
    public string? ModelType => (string?)Config["ModelArgs"]?["model_type"];

    public bool IsAbout(string words) => Official.Contains(words, StringComparison.Ordinal);

    /// <summary>The first of the named tolerances that the manifest gives; exact where it gives none.</summary>
    public Tolerance Tolerance(params string[] keys)
    {
        var given = Entry["tolerance"];
        return Goldens.Tolerance.Parse(keys.Select(key => given?[key]).FirstOrDefault(node => node is not null));
    }

    /// <summary>Full path of a file of the folder.</summary>
    public string PathOf(string file) => Path.Combine(_folder, file.Replace('/', Path.DirectorySeparatorChar));

    /// <summary>The case's only file whose name ends so.</summary>
    public string FileEnding(string suffix) => Files.SingleOrDefault(f => f.EndsWith(suffix, StringComparison.Ordinal))
        ?? throw new NextPatchException($"Case '{Name}' must list one file ending in '{suffix}'; it lists {string.Join(", ", Files)}.");

    /// <summary>The manifest's only file of this name, with its folder.</summary>
    public string Listed(string name) => JsonNode.Parse(File.ReadAllText(PathOf("manifest.json")))!["files"]!.AsObject().Select(f => f.Key)
        .Single(f => Path.GetFileName(f) == name);

    /// <summary>Another case of the manifest, by its name.</summary>
    public GoldenCase Sibling(string name) => Other(c => c.Name == name, name);

    /// <summary>The manifest's first case of a published function.</summary>
    public GoldenCase About(string words) => Other(c => c.IsAbout(words), words);

    private GoldenCase Other(Func<GoldenCase, bool> isMeant, string what)
        => JsonNode.Parse(File.ReadAllText(PathOf("manifest.json")))!["cases"]!.AsArray().Select(c => new GoldenCase(_folder, c!.AsObject()))
            .FirstOrDefault(isMeant)
            ?? throw new NextPatchException($"Case '{Name}' refers to '{what}', which the manifest lacks.");

    /// <summary>Arrays of an archive, read once.</summary>
    public IReadOnlyDictionary<string, HostTensor> Arrays(string file)
    {
        if (!_arrays.TryGetValue(file, out var arrays))
        {
            _arrays[file] = arrays = NpzFile.Read(PathOf(file));
        }

        return arrays;
    }

    /// <summary>Arrays of the case's only archive.</summary>
    public IReadOnlyDictionary<string, HostTensor> Arrays() => Arrays(FileEnding(".npz"));

    public JsonNode Json(string file) => JsonNode.Parse(File.ReadAllText(PathOf(file))) ?? throw new NextPatchException($"'{file}' is empty.");

    /// <summary>Weights of the case's transformer. Published unconditional features always have 120 rows, also where the model has fewer: it never
    /// uses the others.</summary>
    public IReadOnlyDictionary<string, HostTensor> Weights(string file)
    {
        var weights = PyTorchFile.ReadStateDict(PathOf(file), "model");
        if (ModelType != "t2i" || !weights.TryGetValue(Unconditional, out var rows))
        {
            return weights;
        }

        var (count, width) = ((int)Config["ModelArgs"]!["cls_token_num"]!, (int)rows.Shape[1]);
        return new Dictionary<string, HostTensor>(weights)
        {
            [Unconditional] = HostTensor.FromSingles([count, width], rows.ToSingles().AsSpan(0, count * width).ToArray()),
        };
    }

    /// <summary>The transformer of the case.</summary>
    public GptConfig Gpt()
    {
        var args = Config["ModelArgs"] ?? throw new NextPatchException($"Case '{Name}' has no ModelArgs.");
        return new GptConfig
        {
            Width = (int)args["dim"]!,
            LayerCount = (int)args["n_layer"]!,
            HeadCount = (int)args["n_head"]!,
            KvHeadCount = (int?)args["n_kv_head"],
            FfnMultipleOf = (int)args["multiple_of"]!,
            FfnMultiplier = (double?)args["ffn_dim_multiplier"],
            RopeBase = (double)args["rope_base"]!,
            NormEpsilon = (double)args["norm_eps"]!,
            InitializerRange = (double)args["initializer_range"]!,
            ClassCount = (int)args["num_classes"]!,
            VocabularySize = (int)args["vocab_size"]!,
            GridSide = SideOf((int)args["block_size"]!),
            TokenDropout = (double)args["token_dropout_p"]!,
            AttentionDropout = (double)args["attn_dropout_p"]!,
            ResidualDropout = (double)args["resid_dropout_p"]!,
            FfnDropout = (double)args["ffn_dropout_p"]!,
            DropPath = (double)args["drop_path_rate"]!,
            ClassDropout = (double)args["class_dropout_prob"]!,
            Text = ModelType != "t2i" ? null
                : new TextCondition { FeatureWidth = (int)args["caption_dim"]!, TokenCount = (int)args["cls_token_num"]! },
        };
    }

    /// <summary>Side of a square given its area: a grid from its codes, a patch side from <c>patch_size</c>.</summary>
    public static int SideOf(long area)
    {
        var side = (int)Math.Round(Math.Sqrt(area));
        return (long)side * side == area ? side : throw new NextPatchException($"{area} is not the area of a square.");
    }

    public override string ToString() => Name;
}
