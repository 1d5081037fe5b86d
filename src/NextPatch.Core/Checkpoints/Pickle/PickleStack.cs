namespace NextPatch.Core.Checkpoints.Pickle;

/// <summary>The stack of a pickle. Whatever uses a value takes it from here, so this is where names off the list are refused.</summary>
/// <param name="input">To say where a pickle is damaged.</param>
internal sealed class PickleStack(PickleCursor input)
{
    private static readonly object Marker = new();

    private readonly List<object?> _values = [];

    public int Count => _values.Count;

    public void Push(object? value) => _values.Add(value);

    /// <summary>Begins a group that <see cref="PopToMark"/> ends.</summary>
    public void Mark() => Push(Marker);

    public object? Top() => _values.Count > 0 && _values[^1] != Marker ? _values[^1] : throw input.Bad("an empty stack");

    public void ReplaceTop(object value) => _values[^1] = value;

    public object? Pop() => PopLast(1)[0];

    public List<object?> PopLast(int count)
    {
        if (_values.Count < Math.Max(count, 1))
        {
            throw input.Bad("an empty stack");
        }

        var values = TakeFrom(_values.Count - count);
        return values.Contains(Marker) ? throw input.Bad("a mark where a value was expected") : values;
    }

    public List<object?> PopToMark()
    {
        var mark = _values.LastIndexOf(Marker);
        if (mark < 0)
        {
            throw input.Bad("the end of a group that never began");
        }

        var values = TakeFrom(mark + 1);
        _values.RemoveAt(mark);
        return values;
    }

    private List<object?> TakeFrom(int index)
    {
        var values = _values.GetRange(index, _values.Count - index);
        _values.RemoveRange(index, values.Count);
        return values.Find(value => value is PickleUnknownClass) is PickleUnknownClass unknown ? throw unknown.Refuse(input.Name) : values;
    }
}
