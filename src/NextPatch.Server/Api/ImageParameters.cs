using System.Globalization;
using System.Security.Cryptography;
using NextPatch.Core;
using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;
using NextPatch.Data.Imaging;
using NextPatch.Server.Batching;

namespace NextPatch.Server.Api;

/// <summary>What a client asks for, checked.</summary>
internal sealed record ImageParameters
{
    public const int MostImages = 10;
    private const int LongestPrompt = 32_000;
    private const int LongestWord = 512;
    private const double MostGuidance = 100; // beyond, products may overflow float32

    /// <summary>Fields of the contract, those that change nothing here included, and our extensions.</summary>
    private static readonly string[] Known =
    [
        "prompt", "model", "n", "size", "quality", "style", "background", "moderation", "response_format", "output_format", "output_compression",
        "stream", "partial_images", "user", "safety_identifier", "input_fidelity",
        "seed", "class_id", "cfg_scale", "cfg_shape", "cfg_power", "temperature", "top_k", "top_p", "partial_rows",
    ];

    public required ServedModel Model { get; init; }

    public required string Prompt { get; init; }

    /// <summary>What the engine draws, as long as it waits for its place without the features of the prompt.</summary>
    public required GenerationRequest Request { get; init; }

    public required PictureFormat Format { get; init; }

    public required int Quality { get; init; }

    public required bool IsUrl { get; init; }

    public required bool IsStream { get; init; }

    /// <summary>Numbers of rows after which a partial picture is shown.</summary>
    public required IReadOnlyCollection<int> PartialRows { get; init; }

    /// <summary>Whether also after the others, where there is time.</summary>
    public required bool ShowsEveryRow { get; init; }

    /// <param name="fields">The client's.</param>
    /// <param name="models">Those that are served, the default first.</param>
    /// <exception cref="ApiException">A field is wrong.</exception>
    public static ImageParameters Read(RequestFields fields, IReadOnlyList<ServedModel> models)
    {
        fields.RequireKnown(Known);
        var model = Find(fields.Text("model", LongestWord), models);
        var prompt = fields.Text("prompt", LongestPrompt) ?? throw new ApiException(
            400, $"'prompt' is missing: {(model.Model.TakesPrompts ? "say what to draw" : "name a class of the model")}.", "prompt",
            "missing_required_parameter");
        var count = fields.Integer("n", 1, MostImages) ?? 1;
        RequireSize(fields.Text("size", LongestWord), model);
        PassOver(fields);
        var isStream = fields.Flag("stream") ?? false;
        var isUrl = fields.Choice("response_format", "url", "b64_json") == "url";
        if (isUrl && isStream)
        {
            throw ApiException.Value("response_format", "'response_format' must be 'b64_json' with 'stream': events carry the images.");
        }

        var format = fields.Choice("output_format", "png", "jpeg", "webp") ?? "png";
        var request = new GenerationRequest
        {
            Labels = Labels(fields, model, prompt, count),
            Seed = fields.Unsigned("seed") ?? (ulong)RandomNumberGenerator.GetInt32(int.MaxValue),
            Sampling = Sampling(fields, model),
        };
        return new ImageParameters
        {
            Model = model,
            Prompt = prompt,
            Request = request,
            Format = Enum.Parse<PictureFormat>(format, ignoreCase: true),
            Quality = fields.Integer("output_compression", 0, 100) ?? 100,
            IsUrl = isUrl,
            IsStream = isStream,
            PartialRows = Rows(fields, isStream, model.Model.Config.Model.GridSide),
            ShowsEveryRow = EveryRow(fields, isStream),
        };
    }

    private static ServedModel Find(string? name, IReadOnlyList<ServedModel> models) => name is null
        ? models[0]
        : models.FirstOrDefault(model => model.Name == name) ?? throw NoModel(name, models);

    /// <summary>There is no such model.</summary>
    public static ApiException NoModel(string name, IReadOnlyList<ServedModel> models) => new(
        404, $"The model '{PrintableText.From(name)}' is not served here; these are: {string.Join(", ", models.Select(m => m.Name))}.", "model",
        "model_not_found");

    private static int[] Labels(RequestFields fields, ServedModel model, string prompt, int count)
    {
        if (model.Model.TakesPrompts)
        {
            if (string.IsNullOrWhiteSpace(prompt))
            {
                throw ApiException.Value("prompt", "'prompt' is empty; say what to draw.");
            }

            return fields.Integer("class_id", 0, int.MaxValue) is null
                ? new int[count]
                : throw ApiException.Value("class_id", $"The model '{model.Name}' draws from prompts and has no classes; leave 'class_id' out.");
        }

        if (fields.Integer("class_id", 0, model.Classes.Count - 1) is { } label)
        {
            return [.. Enumerable.Repeat(label, count)];
        }

        try
        {
            return model.Labels(prompt.Trim(), count);
        }
        catch (ConfigException e)
        {
            throw ApiException.Value("prompt", e.Message);
        }
    }

    private static void RequireSize(string? size, ServedModel model)
    {
        var own = string.Create(CultureInfo.InvariantCulture, $"{model.Side}x{model.Side}");
        if (size is not null && size != "auto" && size != own)
        {
            throw ApiException.Value("size", $"The model '{model.Name}' draws images of {own}; ask for '{own}' or 'auto'.");
        }
    }

    /// <summary>Fields that clients send and that mean nothing to these models; still, what they say must be right.</summary>
    private static void PassOver(RequestFields fields)
    {
        fields.Choice("quality", "low", "medium", "high", "xhigh", "max", "auto", "standard", "hd");
        fields.Choice("style", "vivid", "natural");
        fields.Choice("background", "opaque", "auto");
        fields.Choice("moderation", "low", "auto");
        fields.Choice("input_fidelity", "low", "high");
        fields.Text("user", LongestWord);
        fields.Text("safety_identifier", LongestWord);
    }

    private static SamplingConfig Sampling(RequestFields fields, ServedModel model)
    {
        var defaults = new SamplingConfig();
        var scale = fields.Number("cfg_scale", 0, MostGuidance);
        if (scale > 1 && !model.Model.Config.Model.HasNullClass)
        {
            throw ApiException.Value("cfg_scale", $"The model '{model.Name}' has no null class to guide against; 'cfg_scale' must be at most 1.");
        }

        var sampling = new SamplingConfig
        {
            GuidanceScale = scale ?? (model.Model.Config.Model.HasNullClass ? defaults.GuidanceScale : 1),
            GuidanceShape = Enum.Parse<GuidanceShape>(fields.Choice("cfg_shape", "constant", "linear", "power") ?? "constant", ignoreCase: true),
            GuidancePower = fields.Number("cfg_power", 0.001, 1000) ?? defaults.GuidancePower,
            Temperature = fields.Number("temperature", 0, 100) ?? defaults.Temperature,
            TopK = fields.Integer("top_k", 0, int.MaxValue) ?? defaults.TopK,
            TopP = fields.Number("top_p", 0, 1) ?? defaults.TopP,
        };
        return sampling.Validated();
    }

    private static bool EveryRow(RequestFields fields, bool isStream) => fields.Flag("partial_rows") == true && (isStream
        ? true
        : throw ApiException.Value("partial_rows", "Partial images need 'stream': true."));

    private static IReadOnlyCollection<int> Rows(RequestFields fields, bool isStream, int grid)
    {
        var partials = fields.Integer("partial_images", 0, 3) ?? 0;
        return !isStream && partials > 0
            ? throw ApiException.Value("partial_images", "Partial images need 'stream': true.")
            : [.. Enumerable.Range(1, partials).Select(i => grid * i / (partials + 1)).Where(row => row > 0).Distinct()];
    }
}
