using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using NextPatch.Core;

namespace NextPatch.Server.Api;

/// <summary>The fields of a request, whether they came as JSON or as a form. What is null counts as absent.</summary>
internal sealed class RequestFields
{
    private const int MostShown = 60;

    private readonly Dictionary<string, JsonElement> _json = [];
    private readonly Dictionary<string, string> _form = [];

    private RequestFields()
    {
    }

    private IEnumerable<string> Names => _json.Keys.Concat(_form.Keys);

    /// <exception cref="ApiException">No JSON, or no object.</exception>
    public static RequestFields OfJson(ReadOnlyMemory<byte> body)
    {
        var fields = new RequestFields();
        try
        {
            using var document = JsonDocument.Parse(body, new JsonDocumentOptions { AllowDuplicateProperties = false });
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                throw new ApiException(400, "The body must be a JSON object with the field 'prompt'.", code: "invalid_json");
            }

            foreach (var field in document.RootElement.EnumerateObject().Where(f => f.Value.ValueKind != JsonValueKind.Null))
            {
                fields._json[field.Name] = field.Value.Clone();
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException) // the latter: an escape that is half a character
        {
            throw new ApiException(400, $"The body is not valid JSON: {e.Message}", code: "invalid_json");
        }

        return fields;
    }

    /// <exception cref="ApiException">A field comes twice.</exception>
    public static RequestFields OfForm(IFormCollection form)
    {
        var fields = new RequestFields();
        foreach (var (name, values) in form)
        {
            fields._form[name] = values.Count == 1
                ? values[0] ?? ""
                : throw ApiException.Value(name, $"'{Short(name)}' comes {values.Count} times.");
        }

        return fields;
    }

    /// <exception cref="ApiException">There is a field of another name.</exception>
    public void RequireKnown(IReadOnlyCollection<string> known)
    {
        if (Names.FirstOrDefault(name => !known.Contains(name)) is { } unknown)
        {
            var near = known.MinBy(name => EditDistance.Between(name, Short(unknown)))!;
            var hint = EditDistance.Between(near, Short(unknown)) <= 2 ? $" Did you mean '{near}'?" : "";
            throw new ApiException(400, $"There is no field '{Short(unknown)}'.{hint}", Short(unknown), "unknown_parameter");
        }
    }

    public bool Has(string name) => _json.ContainsKey(name) || _form.ContainsKey(name);

    /// <summary>Text; null where it is absent.</summary>
    public string? Text(string name, int longest)
    {
        string? text = null;
        if (_json.TryGetValue(name, out var value))
        {
            try
            {
                text = value.ValueKind == JsonValueKind.String ? value.GetString() : throw Wrong(name, "a string");
            }
            catch (InvalidOperationException) // half of a surrogate pair
            {
                throw Wrong(name, "a string of whole characters");
            }
        }
        else if (_form.TryGetValue(name, out var given))
        {
            text = given;
        }

        return text?.Length > longest
            ? throw ApiException.Value(name, $"'{name}' has {text.Length} characters; at most {longest} are taken.")
            : text;
    }

    /// <summary>One of some words; null where it is absent.</summary>
    public string? Choice(string name, params string[] words)
        => Text(name, int.MaxValue) is not { } text ? null
            : words.Contains(text) ? text
            : throw ApiException.Value(name, $"'{name}' is '{Short(text)}'; it must be {string.Join(" or ", words.Select(w => $"'{w}'"))}.");

    public bool? Flag(string name) => !Has(name) ? null
        : _json.TryGetValue(name, out var value)
        ? value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw Wrong(name, "true or false")
        : _form[name] switch { "true" => true, "false" => false, _ => throw Wrong(name, "true or false") };

    /// <summary>A whole number of a range; null where it is absent.</summary>
    public int? Integer(string name, int least, int most)
    {
        var range = $"a whole number from {least} to {most}";
        return Raw(name) is not { } text ? null
            : StrictNumber.TryParse(text, out double value) && value == Math.Floor(value) && value >= least && value <= most
            ? (int)value
            : throw Wrong(name, range);
    }

    public ulong? Unsigned(string name) => Raw(name) is not { } text ? null
        : ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value)
        ? value
        : throw Wrong(name, $"a whole number from 0 to {ulong.MaxValue}");

    /// <summary>A number of a range; null where it is absent.</summary>
    public double? Number(string name, double least, double most) => Raw(name) is not { } text ? null
        : StrictNumber.TryParse(text, out double value) && value >= least && value <= most
        ? value
        : throw Wrong(name, string.Create(CultureInfo.InvariantCulture, $"a number from {least} to {most}"));

    private static string Short(string text) => PrintableText.From(text.Length <= MostShown ? text : text[..MostShown] + "…");

    private static ApiException Wrong(string name, string expected) => ApiException.Value(name, $"'{name}' must be {expected}.");

    /// <summary>The text of a number as it was written.</summary>
    private string? Raw(string name) => _json.TryGetValue(name, out var value)
        ? value.ValueKind == JsonValueKind.Number ? value.GetRawText() : throw Wrong(name, "a number")
        : _form.GetValueOrDefault(name);
}
