using System.Globalization;
using System.Text.Json;
using NextPatch.Core.Imaging;
using NextPatch.Data.Imaging;
using NextPatch.Sampling;
using NextPatch.Server.Batching;

namespace NextPatch.Server.Api;

/// <summary>Images as files and as the JSON that describes them.</summary>
internal static class ResponseImage
{
    /// <summary>The bytes of an image; those of a PNG file are what <c>nextpatch sample</c> writes.</summary>
    public static byte[] Encode(ImageParameters parameters, DrawnImage drawn)
    {
        var request = parameters.Request;
        var text = drawn.IsFinished
            ? SampleText.For(parameters.Model.Model, request, drawn.Place)
            : [];
        return PictureEncoder.Encode(drawn.Picture, parameters.Format, text, parameters.Quality);
    }

    public static string Format(ImageParameters parameters) => parameters.Format.ToString().ToLowerInvariant();

    public static string Size(RgbImage image) => string.Create(CultureInfo.InvariantCulture, $"{image.Width}x{image.Height}");

    /// <summary>Seed, index and class of an image, which no contract has.</summary>
    public static void WriteOrigin(Utf8JsonWriter json, ImageParameters parameters, int place)
    {
        json.WriteNumber("index", place);
        json.WriteNumber("seed", parameters.Request.Seed);
        if (parameters.Request.Prompts is null)
        {
            json.WriteNumber("class_id", parameters.Request.Labels[place]);
        }
    }

    /// <summary>A class, or the tokens of a prompt, are the whole input; codes are the output.</summary>
    public static void WriteUsage(Utf8JsonWriter json, ImageParameters parameters, int images)
    {
        var codes = images * parameters.Model.Model.Config.Model.CodesPerImage;
        var input = images * (parameters.Request.Prompts?[0].TokenCount ?? 1);
        json.WriteStartObject("usage");
        json.WriteNumber("input_tokens", input);
        json.WriteStartObject("input_tokens_details");
        json.WriteNumber("image_tokens", 0);
        json.WriteNumber("text_tokens", input);
        json.WriteEndObject();
        json.WriteNumber("output_tokens", codes);
        json.WriteNumber("total_tokens", input + codes);
        json.WriteEndObject();
    }
}
