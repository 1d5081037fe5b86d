namespace NextPatch.Core.Configuration;

/// <summary>How weights are drawn before training.</summary>
public enum WeightInitialization
{
    /// <summary>Normal(0, <see cref="GptConfig.InitializerRange"/>) for linear and embedding weights, output head zero (LlamaGen, NPP).</summary>
    Published,

    /// <summary>Linear weights Normal(0, 1/sqrt(fan-in)), residual outputs further divided by sqrt(2 layers), embeddings Normal(0, 0.1),
    /// output head zero: better for narrow models, whose 1/sqrt(width) is far from 0.02.</summary>
    WidthScaled,
}

/// <summary>The captions that a text-to-image transformer is conditioned on (published model type t2i).</summary>
public sealed record TextCondition
{
    /// <summary>Numbers per caption token that the text encoder gives (<c>caption_dim</c>); 2048 of flan-T5-XL.</summary>
    public required int FeatureWidth { get; init; }

    /// <summary>Condition rows K before the image (<c>cls_token_num</c>); the most tokens of a caption. 120 as published.</summary>
    public required int TokenCount { get; init; }
}

/// <summary>Shape and regularisation of one transformer. Names follow the field; the published name is given where it differs.</summary>
/// <remarks>Source: REFERENCE of LlamaGen (arXiv 2406.06525) and NPP (arXiv 2412.15321); defaults are those of the published code.</remarks>
public sealed record GptConfig
{
    private const int LargestGridSide = 1024; // T = g * g, and what is counted per code, stay far from the limits of an int
    private const int MostFeatures = 1 << 16;
    private const int MostTokens = 1 << 12;

    /// <summary>Model width C (<c>dim</c>).</summary>
    public required int Width { get; init; }

    /// <summary>Number of blocks (<c>n_layer</c>).</summary>
    public required int LayerCount { get; init; }

    /// <summary>Number of query heads H (<c>n_head</c>).</summary>
    public required int HeadCount { get; init; }

    /// <summary>Number of key/value heads (<c>n_kv_head</c>); null: as many as query heads.</summary>
    public int? KvHeadCount { get; init; }

    /// <summary>Number of different codes V (<c>vocab_size</c>).</summary>
    public int VocabularySize { get; init; } = 16384;

    /// <summary>Side g of the square grid of codes; the image has T = g * g codes (<c>block_size</c> = T).</summary>
    public int GridSide { get; init; } = 16;

    /// <summary>Number of classes, without the null class; says nothing where captions condition the model.</summary>
    public int ClassCount { get; init; } = 1000;

    /// <summary>The captions that condition the model; null: a class does.</summary>
    public TextCondition? Text { get; init; }

    /// <summary>The SwiGLU width is rounded up to a multiple of this.</summary>
    public int FfnMultipleOf { get; init; } = 256;

    /// <summary>Optional factor on the SwiGLU width before rounding (<c>ffn_dim_multiplier</c>).</summary>
    public double? FfnMultiplier { get; init; }

    /// <summary>What RMSNorm adds to the mean square before the root.</summary>
    public double NormEpsilon { get; init; } = 1e-5;

    /// <summary>Base of the rotary frequencies.</summary>
    public double RopeBase { get; init; } = 10000;

    /// <summary>The standard deviation of drawn weights.</summary>
    public double InitializerRange { get; init; } = 0.02;

    /// <summary>How weights are drawn before training.</summary>
    public WeightInitialization Initialization { get; init; } = WeightInitialization.Published;

    /// <summary>Dropout on the embedded tokens.</summary>
    public double TokenDropout { get; init; } = 0.1;

    /// <summary>The share of attention probabilities that training drops.</summary>
    public double AttentionDropout { get; init; }

    /// <summary>Dropout after the attention output projection.</summary>
    public double ResidualDropout { get; init; } = 0.1;

    /// <summary>The share of the feed-forward block's outputs that training drops.</summary>
    public double FfnDropout { get; init; } = 0.1;

    /// <summary>Largest probability of dropping a residual branch; grows linearly from 0 at the first block (<c>drop_path_rate</c>).</summary>
    public double DropPath { get; init; }

    /// <summary>
    /// Probability that a label becomes the null class in training, or that a caption's features become the frozen unconditional ones; 0 leaves the
    /// model without a null class, so it cannot be guided.
    /// </summary>
    public double ClassDropout { get; init; } = 0.1;

    /// <summary>Rows before the image: of the caption, or the class token.</summary>
    public int ConditionTokens => Text?.TokenCount ?? 1;

    /// <summary>Number of codes per image, T.</summary>
    public int CodesPerImage => GridSide * GridSide;

    /// <summary>Rows that a transformer sees at patch side 1: the condition and every code but the last.</summary>
    public int SequenceLength => ConditionTokens + CodesPerImage - 1;

    /// <summary>Head width D.</summary>
    public int HeadWidth => HeadCount > 0 ? Width / HeadCount : 0;

    /// <summary>Effective number of key/value heads.</summary>
    public int KvHeads => KvHeadCount ?? HeadCount;

    /// <summary>Width of the fused query/key/value projection, (H + 2 KvHeads) D.</summary>
    public int QkvWidth => (HeadCount + (2 * KvHeads)) * HeadWidth;

    /// <summary>SwiGLU width: int(m * int(8 C / 3)), then up to a multiple of <see cref="FfnMultipleOf"/>.</summary>
    public int FfnWidth
    {
        get
        {
            var hidden = (int)(2L * 4 * Width / 3);
            if (FfnMultiplier is { } multiplier)
            {
                hidden = (int)(multiplier * hidden);
            }

            return FfnMultipleOf > 0 ? (hidden + FfnMultipleOf - 1) / FfnMultipleOf * FfnMultipleOf : hidden;
        }
    }

    /// <summary>Rows of the class table: the classes, and the null class where labels are dropped.</summary>
    public int ClassRows => ClassCount + (ClassDropout > 0 ? 1 : 0);

    /// <summary>Whether the model has a null class, hence can be guided.</summary>
    public bool HasNullClass => ClassDropout > 0;

    /// <summary>Weights of one block that take part in matrix products.</summary>
    public long BlockMatrixWeights => ((long)Width * QkvWidth) + ((long)Width * HeadCount * HeadWidth) + (3L * Width * FfnWidth);

    /// <summary>Number of trainable parameters; the unconditional features of a text model are not trained.</summary>
    public long ParameterCount
        => ((Text is { } text ? (long)text.FeatureWidth + Width : ClassRows) * Width) + (2L * VocabularySize * Width)
            + (LayerCount * (BlockMatrixWeights + (2L * Width))) + Width;

    /// <exception cref="ConfigException">Some settings cannot work; every problem is listed.</exception>
    public GptConfig Validated()
    {
        var problems = new List<string>();
        void Require(bool holds, string problem)
        {
            if (!holds)
            {
                problems.Add(problem);
            }
        }

        Require(Width > 0 && HeadCount > 0 && Width % HeadCount == 0,
            $"width {Width} is not divisible by headCount {HeadCount}; use a multiple of it");
        Require(HeadCount <= 0 || Width % HeadCount != 0 || HeadWidth % 4 == 0,
            $"the head width {(HeadCount > 0 ? Width / HeadCount : 0)} must be a multiple of 4, because rotary pairs are split between rows and "
            + $"columns");
        Require(KvHeads > 0 && HeadCount % Math.Max(KvHeads, 1) == 0, $"headCount {HeadCount} is not divisible by kvHeadCount {KvHeads}");
        Require(LayerCount > 0, $"layerCount {LayerCount} must be at least 1");
        Require(VocabularySize > 1, $"vocabularySize {VocabularySize} must be at least 2");
        Require(GridSide is > 0 and <= LargestGridSide, $"gridSide {GridSide} must be 1 to {LargestGridSide}");
        Require(ClassCount > 0, $"classCount {ClassCount} must be at least 1");
        Require(Text is null or { FeatureWidth: > 0 and <= MostFeatures }, $"text.featureWidth {Text?.FeatureWidth} must be 1 to {MostFeatures}");
        Require(Text is null or { TokenCount: > 0 and <= MostTokens }, $"text.tokenCount {Text?.TokenCount} must be 1 to {MostTokens}");
        Require(FfnMultipleOf > 0, $"ffnMultipleOf {FfnMultipleOf} must be at least 1");
        foreach (var (name, value) in new[]
        {
            ("tokenDropout", TokenDropout), ("attentionDropout", AttentionDropout), ("residualDropout", ResidualDropout),
            ("ffnDropout", FfnDropout), ("dropPath", DropPath), ("classDropout", ClassDropout),
        })
        {
            Require(value is >= 0 and < 1, $"{name} {value} must be at least 0 and less than 1");
        }

        return problems.Count == 0 ? this : throw new ConfigException(problems);
    }
}
