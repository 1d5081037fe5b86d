using System.Globalization;
using NextPatch.Core.Tensors;

namespace NextPatch.Cli.Inspection;

/// <summary>What a checkpoint holds beside its weights, short enough to read: tensors are counted, settings are shown.</summary>
/// <remarks>
/// A pickle can hold itself, nest without end, and share one list a million times: every list or dictionary is looked into once, to a depth that no
/// checkpoint has, and all of it takes a bounded number of steps.
/// </remarks>
internal sealed class ContentSummary
{
    private const int MaxValues = 32;
    private const int MaxText = 200;
    private const int MaxDepth = 64;
    private const int MaxSteps = 4_000_000;
    private const string More = "...";

    private readonly HashSet<object> _shown = new(ReferenceEqualityComparer.Instance);
    private int _steps;

    private ContentSummary()
    {
    }

    /// <summary>Every key of the checkpoint with its summary.</summary>
    public static Dictionary<string, object?> SummarizeKeys(Dictionary<object, object?> content) => new ContentSummary().SummarizeKeys(content, 0);

    /// <summary>Every tensor in nested dictionaries and lists, by path: "state.0.exp_avg".</summary>
    public static IEnumerable<KeyValuePair<string, StoredTensor>> Tensors(object? value)
        => new ContentSummary().Tensors(value, "", 0, new HashSet<object>(ReferenceEqualityComparer.Instance));

    private IEnumerable<KeyValuePair<string, StoredTensor>> Tensors(object? value, string path, int depth, HashSet<object> seen)
    {
        if (value is StoredTensor tensor)
        {
            yield return KeyValuePair.Create(path, tensor);
        }

        if (depth == MaxDepth || value is not (Dictionary<object, object?> or List<object?>) || !seen.Add(value))
        {
            yield break;
        }

        var members = value is Dictionary<object, object?> dictionary
            ? dictionary.Select(p => (Name: NameOf(p.Key), p.Value))
            : ((List<object?>)value).Select((item, i) => (Name: i.ToString(CultureInfo.InvariantCulture), Value: item));
        foreach (var (name, member) in members)
        {
            if (++_steps > MaxSteps)
            {
                yield break;
            }

            if (member is StoredTensor or Dictionary<object, object?> or List<object?>)
            {
                foreach (var found in Tensors(member, path.Length == 0 ? name : $"{path}.{name}", depth + 1, seen))
                {
                    yield return found;
                }
            }
        }
    }

    private Dictionary<string, object?> SummarizeKeys(Dictionary<object, object?> content, int depth)
        => content.GroupBy(p => NameOf(p.Key)).ToDictionary(g => g.Key, g => Summarize(g.First().Value, depth + 1));

    private object? Summarize(object? value, int depth)
    {
        switch (value)
        {
            case null or bool or long:
                return value;
            case double number:
                return double.IsFinite(number) ? number : number.ToString(CultureInfo.InvariantCulture);
            case StoredTensor tensor:
                return tensor.ToString();
            case Dictionary<object, object?> or List<object?>:
                return _steps > MaxSteps || depth > MaxDepth / 2 || !_shown.Add(value) ? More : SummarizeContainer(value, depth);
            default:
                var text = Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";
                return text.Length <= MaxText ? text : text[..MaxText] + More;
        }
    }

    private object SummarizeContainer(object value, int depth)
    {
        var count = Tensors(value, "", 0, new HashSet<object>(ReferenceEqualityComparer.Instance)).Count();
        return (count, value) switch
        {
            ( > 0, _) => $"{count} tensors",
            (_, Dictionary<object, object?> dictionary) => dictionary.Count <= MaxValues * MaxValues
                ? SummarizeKeys(dictionary, depth)
                : $"{dictionary.Count} values",
            (_, List<object?> list) when list.Count <= MaxValues => list.Select(item => Summarize(item, depth + 1)).ToList(),
            _ => $"{((List<object?>)value).Count} values",
        };
    }

    private static string NameOf(object key)
        => Convert.ToString(key, CultureInfo.InvariantCulture) is not { } name ? "" : name.Length <= MaxText ? name : name[..MaxText] + More;
}
