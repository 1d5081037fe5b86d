using System.Globalization;
using NextPatch.Core.Tensors;

namespace NextPatch.Cli.Inspection;

/// <summary>What a checkpoint holds beside its weights, short enough to read: tensors are counted, settings are shown.</summary>
internal static class ContentSummary
{
    private const int MaxValues = 32;
    private const int MaxText = 200;

    /// <summary>Every key of the checkpoint with its summary.</summary>
    public static Dictionary<string, object?> SummarizeKeys(Dictionary<object, object?> content)
        => content.GroupBy(p => NameOf(p.Key)).ToDictionary(g => g.Key, g => Summarize(g.First().Value));

    /// <summary>Every tensor in nested dictionaries and lists, by path: "state.0.exp_avg".</summary>
    public static IEnumerable<KeyValuePair<string, StoredTensor>> Tensors(object? value, string path = "") => value switch
    {
        StoredTensor tensor => [KeyValuePair.Create(path, tensor)],
        Dictionary<object, object?> dictionary => dictionary.SelectMany(p => Tensors(p.Value, Join(path, NameOf(p.Key)))),
        List<object?> list => list.SelectMany((item, i) => Tensors(item, Join(path, $"{i}"))),
        _ => [],
    };

    private static object? Summarize(object? value)
    {
        switch (value)
        {
            case null or bool or long:
                return value;
            case double number:
                return double.IsFinite(number) ? number : number.ToString(CultureInfo.InvariantCulture);
            case StoredTensor tensor:
                return tensor.ToString();
            case Dictionary<object, object?> or List<object?> when Tensors(value).Count() is > 0 and var count:
                return $"{count} tensors";
            case Dictionary<object, object?> dictionary:
                return dictionary.Count <= MaxValues * MaxValues ? SummarizeKeys(dictionary) : $"{dictionary.Count} values";
            case List<object?> list:
                return list.Count <= MaxValues ? list.Select(Summarize).ToList() : $"{list.Count} values";
            default:
                var text = Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";
                return text.Length <= MaxText ? text : text[..MaxText] + "...";
        }
    }

    private static string NameOf(object key) => Convert.ToString(key, CultureInfo.InvariantCulture) ?? "";

    private static string Join(string path, string name) => path.Length == 0 ? name : $"{path}.{name}";
}
