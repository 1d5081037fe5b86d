using System.Numerics;

namespace NextPatch.Core.Checkpoints;

/// <summary>Rebuilds plain data from a pickle (protocols 2 to 5) and executes nothing.</summary>
/// <remarks>
/// A pickle is a program. This machine knows only the opcodes that build containers and numbers; names are looked up in an
/// allow-list and everything else is refused. Time and memory are bounded by <see cref="MaxObjects"/>, whatever the pickle says.
/// Dictionaries become Dictionary&lt;object, object?&gt;; lists, tuples and sets List&lt;object?&gt;; integers long (BigInteger beyond
/// 64 bits); bytes byte[].
/// </remarks>
internal sealed class Unpickler
{
    /// <summary>A checkpoint of a thousand tensors needs some 30,000; this many of the largest objects take 50 MB.</summary>
    private const int MaxObjects = 600_000;

    /// <summary>Only optimizers number things. Numbers, unlike text, can be chosen so that they collide in a hash table.</summary>
    private const int MaxNumberKeys = 20_000;

    private const int CharactersPerObject = 64;

    private static readonly object MarkObject = new();

    private readonly PickleCursor _input;
    private readonly string _name;
    private readonly Func<string, object> _findGlobal;
    private readonly Func<object?, object> _loadPersistent;
    private readonly List<object?> _stack = [];
    private readonly Dictionary<uint, object?> _memo = [];
    private int _objects;
    private int _numberKeys;

    /// <param name="input">At the pickle's first byte; <see cref="Load"/> leaves it behind the last.</param>
    /// <param name="name">What messages call them.</param>
    /// <param name="findGlobal">Turns "module.name" into a value, a <see cref="PickleCallable"/> or a <see cref="PickleUnknownClass"/>.</param>
    /// <param name="loadPersistent">Turns a persistent id into a value, or throws.</param>
    public Unpickler(PickleCursor input, string name, Func<string, object> findGlobal, Func<object?, object> loadPersistent)
    {
        _input = input;
        _name = name;
        _findGlobal = findGlobal;
        _loadPersistent = loadPersistent;
    }

    /// <exception cref="DataFormatException">Damaged, too large, or uses a name that is not on the list (see <see cref="UnknownPickleValue"/>).</exception>
    public object? Load()
    {
        while (true)
        {
            var opcode = (PickleOpcode)_input.Byte();
            if (opcode == PickleOpcode.Stop)
            {
                return PopLast(_stack.Count)[^1];
            }

            Spend(1);
            if (!Scalar(opcode) && !Container(opcode) && !Machine(opcode))
            {
                throw Bad($"the opcode 0x{(byte)opcode:X2}, which plain checkpoints do not use");
            }
        }
    }

    private bool Scalar(PickleOpcode opcode)
    {
        switch (opcode)
        {
            case PickleOpcode.None: Push(null); break;
            case PickleOpcode.NewTrue: Push(true); break;
            case PickleOpcode.NewFalse: Push(false); break;
            case PickleOpcode.BinInt: Push((long)_input.Int32()); break;
            case PickleOpcode.BinInt1: Push((long)_input.Byte()); break;
            case PickleOpcode.BinInt2: Push((long)_input.UInt16()); break;
            case PickleOpcode.Long1: PushInteger(_input.Take(_input.Byte())); break;
            case PickleOpcode.BinFloat: Push(_input.Double()); break;
            // Python 2's text; torch.load takes it for UTF-8 too.
            case PickleOpcode.ShortBinString: Push(_input.Text(_input.Byte())); break;
            case PickleOpcode.BinString: Push(_input.Text(_input.UInt32())); break;
            case PickleOpcode.ShortBinUnicode: Push(_input.Text(_input.Byte())); break;
            case PickleOpcode.BinUnicode: Push(_input.Text(_input.UInt32())); break;
            case PickleOpcode.BinUnicode8: Push(_input.Text(_input.UInt64())); break;
            case PickleOpcode.ShortBinBytes: Push(_input.Take(_input.Byte()).ToArray()); break;
            case PickleOpcode.BinBytes: Push(_input.Take(_input.UInt32()).ToArray()); break;
            case PickleOpcode.BinBytes8: Push(_input.Take(_input.UInt64()).ToArray()); break;
            default: return false;
        }

        return true;
    }

    private bool Container(PickleOpcode opcode)
    {
        switch (opcode)
        {
            case PickleOpcode.EmptyList or PickleOpcode.EmptyTuple or PickleOpcode.EmptySet: Push(new List<object?>()); break;
            case PickleOpcode.EmptyDict: Push(new Dictionary<object, object?>()); break;
            case PickleOpcode.Tuple or PickleOpcode.List or PickleOpcode.FrozenSet: Push(PopToMark()); break;
            case PickleOpcode.Tuple1: Push(PopLast(1)); break;
            case PickleOpcode.Tuple2: Push(PopLast(2)); break;
            case PickleOpcode.Tuple3: Push(PopLast(3)); break;
            case PickleOpcode.Append: AddAll(PopLast(1)); break;
            case PickleOpcode.Appends or PickleOpcode.AddItems: AddAll(PopToMark()); break;
            case PickleOpcode.SetItem: SetAll(PopLast(2)); break;
            case PickleOpcode.SetItems: SetAll(PopToMark()); break;
            case PickleOpcode.Dict:
                var pairs = PopToMark();
                Push(new Dictionary<object, object?>());
                SetAll(pairs);
                break;
            default: return false;
        }

        return true;
    }

    private bool Machine(PickleOpcode opcode)
    {
        switch (opcode)
        {
            case PickleOpcode.Proto: CheckProtocol(_input.Byte()); break;
            case PickleOpcode.Frame: _input.UInt64(); break;
            case PickleOpcode.Mark: Push(MarkObject); break;
            case PickleOpcode.Pop: Pop(); break;
            case PickleOpcode.PopMark: PopToMark(); break;
            case PickleOpcode.Dup: Push(Top()); break;
            case PickleOpcode.BinPut: _memo[_input.Byte()] = Top(); break;
            case PickleOpcode.LongBinPut: _memo[_input.UInt32()] = Top(); break;
            case PickleOpcode.Memoize: _memo[(uint)_memo.Count] = Top(); break;
            case PickleOpcode.BinGet: Push(Recall(_input.Byte())); break;
            case PickleOpcode.LongBinGet: Push(Recall(_input.UInt32())); break;
            case PickleOpcode.Global: Push(_findGlobal($"{_input.Line()}.{_input.Line()}")); break;
            case PickleOpcode.StackGlobal: Push(_findGlobal(GlobalName(PopLast(2)))); break;
            case PickleOpcode.BinPersId: Push(_loadPersistent(Pop())); break;
            case PickleOpcode.Reduce: Call(PopLast(2)); break;
            case PickleOpcode.NewObj: New(Pop()); break;
            case PickleOpcode.Build: Build(Pop()); break;
            default: return false;
        }

        return true;
    }

    private void CheckProtocol(int protocol)
    {
        if (protocol is < 2 or > 5)
        {
            throw Bad($"pickle protocol {protocol}; 2 to 5 are understood");
        }
    }

    /// <summary>An instance: of a class off the list only without arguments, and then it is an inert placeholder.</summary>
    private void New(object? arguments)
    {
        if (Top() is PickleUnknownClass unknown && arguments is List<object?> { Count: 0 })
        {
            _stack[^1] = new UnknownPickleValue(unknown.Name);
        }
        else
        {
            Call([Pop(), arguments]);
        }
    }

    private void Call(List<object?> callAndArguments)
    {
        if (callAndArguments is not [PickleCallable callable, List<object?> arguments])
        {
            throw Misused(callAndArguments[0], "a call of something that is not a function");
        }

        // What a call copies from its arguments counts like what it reads.
        foreach (var argument in arguments)
        {
            Spend(argument switch
            {
                List<object?> list => list.Count,
                string text => 1 + (text.Length / CharactersPerObject),
                _ => 1,
            });
        }

        Push(callable.Call(arguments));
    }

    /// <summary>Attributes of an object. A namespace's are its content; an OrderedDict's (_metadata) are of no use here.</summary>
    private void Build(object? state)
    {
        switch (Top())
        {
            case UnknownPickleValue unknown:
                unknown.State = state;
                break;
            case PickleNamespace target when state is Dictionary<object, object?> attributes:
                Spend(attributes.Count);
                foreach (var (key, value) in attributes)
                {
                    target[key] = value;
                }

                break;
            case Dictionary<object, object?>:
                break;
            default:
                throw Misused(Top(), "attributes for something that has none");
        }
    }

    private void AddAll(List<object?> items)
    {
        if (Top() is not List<object?> list)
        {
            throw Misused(Top(), "elements for something that is not a list");
        }

        list.AddRange(items);
    }

    private void SetAll(List<object?> pairs)
    {
        if (Top() is not Dictionary<object, object?> dictionary || pairs.Count % 2 != 0)
        {
            throw Misused(Top(), "keys and values for something that is not a dictionary");
        }

        for (var i = 0; i < pairs.Count; i += 2)
        {
            if (pairs[i] is not string && (pairs[i] is not (long or bool or double) || ++_numberKeys > MaxNumberKeys))
            {
                throw Bad($"a dictionary key that is neither text nor one of the first {MaxNumberKeys} numbers");
            }

            dictionary[pairs[i]!] = pairs[i + 1];
        }
    }

    private string GlobalName(List<object?> parts) => parts is [string module, string name] ? $"{module}.{name}" : throw Bad("a global without a name");

    private void PushInteger(ReadOnlySpan<byte> littleEndian)
    {
        var value = new BigInteger(littleEndian);
        if (littleEndian.Length <= sizeof(long))
        {
            Push((long)value);
        }
        else
        {
            Push(value);
        }
    }

    private object? Recall(uint index) => _memo.TryGetValue(index, out var value) ? value : throw Bad($"a reference to memo entry {index}, which was not stored");

    private void Push(object? value) => _stack.Add(value);

    private object? Pop() => PopLast(1)[0];

    private object? Top() => _stack.Count > 0 && _stack[^1] != MarkObject ? _stack[^1] : throw Bad("an empty stack");

    private List<object?> PopLast(int count)
    {
        if (_stack.Count < Math.Max(count, 1))
        {
            throw Bad("an empty stack");
        }

        var values = TakeFrom(_stack.Count - count);
        return values.Contains(MarkObject) ? throw Bad("a mark where a value was expected") : values;
    }

    private List<object?> PopToMark()
    {
        var mark = _stack.LastIndexOf(MarkObject);
        if (mark < 0)
        {
            throw Bad("the end of a group that never began");
        }

        var values = TakeFrom(mark + 1);
        _stack.RemoveAt(mark);
        return values;
    }

    /// <summary>Everything that uses a value takes it here, so this is where names off the list are refused.</summary>
    private List<object?> TakeFrom(int index)
    {
        var values = _stack.GetRange(index, _stack.Count - index);
        _stack.RemoveRange(index, values.Count);
        return values.Find(value => value is PickleUnknownClass) is PickleUnknownClass unknown ? throw unknown.Refuse(_name) : values;
    }

    private void Spend(int objects)
    {
        _objects += objects;
        if (_objects > MaxObjects)
        {
            throw new DataFormatException($"'{_name}' builds more than {MaxObjects} objects; no checkpoint does. The file is damaged or hostile.");
        }
    }

    /// <summary>A name off the list is named, whatever was tried with it.</summary>
    private DataFormatException Misused(object? target, string found) => target switch
    {
        PickleUnknownClass unknown => unknown.Refuse(_name),
        UnknownPickleValue instance => new PickleUnknownClass(instance.Name).Refuse(_name),
        _ => Bad(found),
    };

    private DataFormatException Bad(string found) => new($"'{_name}' has a damaged or unsupported pickle: {found} (before byte {_input.Position}).");
}
