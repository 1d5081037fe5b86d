namespace NextPatch.Cli.Help;

/// <summary>What the help says of a command beside its own description. Commands and options that are not listed come last.</summary>
internal static class HelpTopics
{
    /// <summary>Groups of commands in the order of the overview.</summary>
    public static readonly IReadOnlyList<string> Groups = ["Train", "Draw", "Measure", "Files"];

    /// <summary>Commands by their words, in the order of the overview; those below another have no line there.</summary>
    public static readonly IReadOnlyDictionary<string, HelpTopic> Commands = new OrderedDictionary<string, HelpTopic>
    {
        ["quickstart"] = new("Train", "everything once, from images to report.html, in minutes"),
        ["tokenizer"] = new("Train", "trains and judges what turns images into codes and back"),
        ["tokenizer train"] = new(
            "Train", "", "--images", "--image-size", "--output", "--resume", "--steps", "--batch-size", "--codebook-size", "--downsample",
            "--perceptual", "--init-from"),
        ["tokenizer eval"] = new(
            "Measure", "", "--images", "--tokenizer", "--count", "--image-size", "--part", "--network", "--weights", "--perturb-codes", "--json"),
        ["tokenizer reconstruct"] = new("Draw", ""),
        ["encode"] = new(
            "Train", "images into codes", "--images", "--tokenizer", "--output", "--captions", "--image-size", "--held-out", "--crops", "--layout",
            "--batch-size", "--engine", "--json"),
        ["encode-text"] = new(
            "Train", "captions into the features of a text encoder", "--captions", "--encoder", "--output", "--layout", "--clean", "--max-tokens"),
        ["train"] = new(
            "Train", "a transformer on codes, coarse to fine", "--codes", "--text-features", "--output", "--resume", "--config", "--preset",
            "--recipe", "--steps", "--batch-size", "--patch-level", "--init-from"),
        ["study"] = new("Train", "schedules against each other, over seeds"),
        ["plan"] = new(
            "Train", "what a run costs before it starts", "--codes", "--preset", "--recipe", "--images", "--steps", "--epochs", "--batch-size",
            "--patch-level", "--flops-per-second", "--json"),
        ["sample"] = new(
            "Draw", "images from a trained model, or from the built-in one", "--model", "--tokenizer", "--class", "--prompt", "--count", "--seed",
            "--cfg-scale", "--temperature", "--top-k", "--format", "--output"),
        ["serve"] = new("Draw", "images over HTTP: the images API of OpenAI, and a page"),
        ["quantize"] = new("Draw", "a smaller, faster copy of a model, and what it loses", "--to", "--codes", "--count", "--draw", "--json"),
        ["evaluate"] = new(
            "Measure", "how near images are to real ones: FID and its kin", "--samples", "--reference", "--metrics", "--network", "--weights",
            "--image-size", "--clip", "--prompts", "--count", "--cfg-scale", "--seed", "--json"),
        ["sweep"] = new(
            "Measure", "the same over guidance scales and filters, with curves", "--model", "--reference", "--cfg-scale", "--temperature",
            "--top-k", "--top-p", "--count", "--network", "--output", "--json"),
        ["wise"] = new(
            "Measure", "whether images show what prompts mean, by a judge", "--prompts", "--images", "--model", "--judge", "--judge-model",
            "--verified", "--results", "--cfg-scale", "--seed", "--json"),
        ["report"] = new("Measure", "the page of a run, made again"),
        ["compare"] = new("Measure", "runs beside each other: losses, cost, figures, samples"),
        ["bench"] = new("Measure", "what training and drawing cost here"),
        ["bench train"] = new("Measure", ""),
        ["bench decode"] = new("Measure", ""),
        ["info"] = new("Files", "what a checkpoint, weights, codes or an image hold"),
        ["convert"] = new("Files", "weights in another format: .pt, .safetensors, .npz, ..."),
        ["dataset"] = new("Files", "whether a dataset is whole, and what is in it"),
        ["dataset inspect"] = new("Files", ""),
        ["fetch"] = new("Files", "published weights that 'evaluate' can use"),
        ["doctor"] = new("Files", "what works on this machine, and what to do about the rest"),
    };

    /// <summary>Groups of options in the order of a command's help; an option means the same in every command.</summary>
    public static readonly IReadOnlyDictionary<string, string[]> Options = new OrderedDictionary<string, string[]>
    {
        ["What goes in and out"] =
        [
            "--model", "--captions", "--encoder", "--samples", "--samples-part", "--data", "--images", "--codes", "--text-features",
            "--reference",
            "--reference-part", "--part", "--tokenizer", "--init-from", "--image", "--mask", "--keep-rows", "--output", "--layout", "--name",
            "--format", "--save-statistics", "--from", "--draw", "--resume", "--config", "--license", "--max-shard-size", "--get-libtorch",
            "--json",
        ],
        ["Length and patches"] =
        [
            "--recipe", "--minutes", "--steps", "--epochs", "--extend-to", "--batch-size", "--micro-batch", "--patch-level", "--patch-sides",
            "--stage-rate", "--stages", "--coarse-batch", "--mix-coarse", "--switch", "--compare",
        ],
        ["Model"] =
        [
            "--preset", "--grid", "--vocabulary", "--classes", "--grouping", "--patch-position", "--target-weights", "--dropout",
            "--attention-dropout", "--drop-path", "--class-dropout", "--downsample", "--channels", "--multipliers", "--base-channels", "--blocks",
            "--codebook-size", "--codebook-dim", "--latent-channels", "--raw-codes",
        ],
        ["Images"] =
        [
            "--image-size", "--image-size-eval", "--antialias", "--resize", "--smallest-side", "--crops", "--crop-range", "--centre-crops",
            "--no-flips", "--held-out", "--judged", "--on-error",
        ],
        ["Losses"] =
        [
            "--reconstruction", "--perceptual", "--perceptual-weight", "--commitment-weight", "--entropy-weight", "--discriminator",
            "--discriminator-loss", "--generator-loss", "--discriminator-start", "--discriminator-weight", "--adaptive-weight",
        ],
        ["Learning"] =
        [
            "--lr", "--lr-schedule", "--end-lr", "--warmup-steps", "--decay-share", "--moments", "--beta2", "--weight-decay", "--clip-norm",
            "--ema-decay", "--fixed-ema", "--freeze", "--continuous-steps", "--revive-every", "--perturb", "--perturb-images", "--perturb-codes",
            "--perturb-neighbours", "--perturb-end",
        ],
        ["Drawing"] =
        [
            "--class", "--prompt", "--prompts", "--count", "--balanced", "--random-classes", "--seed", "--cfg-scale", "--cfg-interval",
            "--cfg-shape", "--cfg-power", "--temperature", "--top-k", "--top-p", "--greedy",
        ],
        ["Measuring"] =
        [
            "--judge", "--judge-model", "--judge-key", "--judge-prompt", "--verified", "--results", "--metrics", "--clip", "--clip-merges",
            "--network", "--network-weights", "--weights", "--model-weights", "--features", "--evaluate-every", "--evaluate-count",
        ],
        ["Checkpoints and logs"] =
        [
            "--checkpoint-every", "--keep-last", "--on-full-disk", "--stop-after-skips", "--validate-every", "--validate-images", "--log-every",
            "--sample-every", "--grid-every", "--usage-alarm",
        ],
        ["Captions"] = ["--text-encoder", "--text-tokenizer", "--clean", "--max-tokens", "--caption-index"],
        ["Requests"] = ["--urls", "--api-key", "--insecure", "--queue", "--timeout", "--log-json", "--log-prompts"],
        ["Several machines"] = ["--ranks", "--mpi-library", "--gradient-dtype", "--rank-timeout", "--shard"],
        ["Machine"] =
        [
            "--engine", "--device", "--precision", "--tf32", "--to", "--dtype", "--step", "--recompute", "--memory", "--jobs", "--threads",
            "--rounds", "--prompt-tokens", "--caption-tokens", "--no-baseline", "--flops-per-second", "--no-measure",
        ],
    };
}

/// <summary>One command in the help.</summary>
/// <param name="Group">One of <see cref="HelpTopics.Groups"/>.</param>
/// <param name="Summary">Its line of the overview, at most 58 characters; empty below another command.</param>
/// <param name="Options">Those that matter, about ten; none where all are shown.</param>
internal sealed record HelpTopic(string Group, string Summary, params string[] Options);
