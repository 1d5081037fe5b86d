namespace NextPatch.Core.Checkpoints.Pickle;

/// <summary>Replaces the tensors in what a pickle holds, at any depth, by something else; the same tensor by the same object.</summary>
/// <typeparam name="T">What is replaced.</typeparam>
internal sealed class PickleTree<T>
    where T : class
{
    private readonly Func<T, object> _replace;
    private readonly Dictionary<T, object> _replaced = new(ReferenceEqualityComparer.Instance);
    private readonly HashSet<object> _seen = new(ReferenceEqualityComparer.Instance);
    private readonly Stack<object> _unvisited = new();

    public PickleTree(Func<T, object> replace) => _replace = replace;

    /// <summary>Containers stay the same objects.</summary>
    /// <remarks>Without recursion: a hostile pickle nests as deeply as it likes, or in circles.</remarks>
    public object? Replace(object? root)
    {
        var result = Resolve(root);
        while (_unvisited.TryPop(out var container))
        {
            switch (container)
            {
                case List<object?> list:
                    for (var i = 0; i < list.Count; i++)
                    {
                        list[i] = Resolve(list[i]);
                    }

                    break;
                case Dictionary<object, object?> dictionary:
                    // Overwriting the value of a key that is there does not disturb the enumeration.
                    foreach (var (key, value) in dictionary)
                    {
                        dictionary[key] = Resolve(value);
                    }

                    break;
                case UnknownPickleValue unknown:
                    unknown.State = Resolve(unknown.State);
                    break;
                default:
                    break;
            }
        }

        return result;
    }

    /// <summary>A tensor's replacement; anything else as it is, to be visited later if it may hold tensors.</summary>
    private object? Resolve(object? value)
    {
        if (value is T tensor)
        {
            return _replaced.TryGetValue(tensor, out var known) ? known : _replaced[tensor] = _replace(tensor);
        }

        if (value is (List<object?> or Dictionary<object, object?> or UnknownPickleValue) && _seen.Add(value))
        {
            _unvisited.Push(value);
        }

        return value;
    }
}
