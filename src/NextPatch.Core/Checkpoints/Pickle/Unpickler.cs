using System.Numerics;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.Pickle;

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

    private readonly PickleCursor _input;
    private readonly Func<string, object> _findGlobal;
    private readonly Func<object?, object> _loadPersistent;
    private readonly PickleStack _stack;
    private readonly Dictionary<uint, object?> _memo = [];
    private int _objects;
    private int _numberKeys;

    /// <param name="input">At the pickle's first byte; <see cref="Load"/> leaves it behind the last.</param>
    /// <param name="findGlobal">Turns "module.name" into a value, a <see cref="PickleCallable"/> or a <see cref="PickleUnknownClass"/>.</param>
    /// <param name="loadPersistent">Turns a persistent id into a value, or throws.</param>
    public Unpickler(PickleCursor input, Func<string, object> findGlobal, Func<object?, object> loadPersistent)
    {
        _input = input;
        _stack = new PickleStack(input);
        _findGlobal = findGlobal;
        _loadPersistent = loadPersistent;
    }

    /// <exception cref="DataFormatException">Damaged, too large, or uses a name that is not on the list (see
    /// <see cref="UnknownPickleValue"/>).</exception>
    public object? Load()
    {
        while (true)
        {
            var opcode = (PickleOpcode)_input.Byte();
            if (opcode == PickleOpcode.Stop)
            {
                return _stack.PopLast(_stack.Count)[^1];
            }

            Spend(1);
            if (!Scalar(opcode) && !Container(opcode) && !Machine(opcode))
            {
                throw _input.Bad($"the opcode 0x{(byte)opcode:X2}, which plain checkpoints do not use");
            }
        }
    }

    private bool Scalar(PickleOpcode opcode)
    {
        switch (opcode)
        {
            case PickleOpcode.None: _stack.Push(null); break;
            case PickleOpcode.NewTrue: _stack.Push(true); break;
            case PickleOpcode.NewFalse: _stack.Push(false); break;
            case PickleOpcode.BinInt: _stack.Push((long)_input.Int32()); break;
            case PickleOpcode.BinInt1: _stack.Push((long)_input.Byte()); break;
            case PickleOpcode.BinInt2: _stack.Push((long)_input.UInt16()); break;
            case PickleOpcode.Long1: PushInteger(_input.Take(_input.Byte())); break;
            case PickleOpcode.BinFloat: _stack.Push(_input.Double()); break;
            // Python 2's text; torch.load takes it for UTF-8 too.
            case PickleOpcode.ShortBinString: _stack.Push(_input.Text(_input.Byte())); break;
            case PickleOpcode.BinString: _stack.Push(_input.Text(_input.UInt32())); break;
            case PickleOpcode.ShortBinUnicode: _stack.Push(_input.Text(_input.Byte())); break;
            case PickleOpcode.BinUnicode: _stack.Push(_input.Text(_input.UInt32())); break;
            case PickleOpcode.BinUnicode8: _stack.Push(_input.Text(_input.UInt64())); break;
            case PickleOpcode.ShortBinBytes: _stack.Push(_input.Take(_input.Byte()).ToArray()); break;
            case PickleOpcode.BinBytes: _stack.Push(_input.Take(_input.UInt32()).ToArray()); break;
            case PickleOpcode.BinBytes8: _stack.Push(_input.Take(_input.UInt64()).ToArray()); break;
            default: return false;
        }

        return true;
    }

    private bool Container(PickleOpcode opcode)
    {
        switch (opcode)
        {
            case PickleOpcode.EmptyList or PickleOpcode.EmptyTuple or PickleOpcode.EmptySet: _stack.Push(new List<object?>()); break;
            case PickleOpcode.EmptyDict: _stack.Push(new Dictionary<object, object?>()); break;
            case PickleOpcode.Tuple or PickleOpcode.List or PickleOpcode.FrozenSet: _stack.Push(_stack.PopToMark()); break;
            case PickleOpcode.Tuple1: _stack.Push(_stack.PopLast(1)); break;
            case PickleOpcode.Tuple2: _stack.Push(_stack.PopLast(2)); break;
            case PickleOpcode.Tuple3: _stack.Push(_stack.PopLast(3)); break;
            case PickleOpcode.Append: AddAll(_stack.PopLast(1)); break;
            case PickleOpcode.Appends or PickleOpcode.AddItems: AddAll(_stack.PopToMark()); break;
            case PickleOpcode.SetItem: SetAll(_stack.PopLast(2)); break;
            case PickleOpcode.SetItems: SetAll(_stack.PopToMark()); break;
            case PickleOpcode.Dict:
                var pairs = _stack.PopToMark();
                _stack.Push(new Dictionary<object, object?>());
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
            case PickleOpcode.Mark: _stack.Mark(); break;
            case PickleOpcode.Pop: _stack.Pop(); break;
            case PickleOpcode.PopMark: _stack.PopToMark(); break;
            case PickleOpcode.Dup: _stack.Push(_stack.Top()); break;
            case PickleOpcode.BinPut: _memo[_input.Byte()] = _stack.Top(); break;
            case PickleOpcode.LongBinPut: _memo[_input.UInt32()] = _stack.Top(); break;
            case PickleOpcode.Memoize: _memo[(uint)_memo.Count] = _stack.Top(); break;
            case PickleOpcode.BinGet: _stack.Push(Recall(_input.Byte())); break;
            case PickleOpcode.LongBinGet: _stack.Push(Recall(_input.UInt32())); break;
            case PickleOpcode.Global: _stack.Push(_findGlobal($"{_input.Line()}.{_input.Line()}")); break;
            case PickleOpcode.StackGlobal: _stack.Push(_findGlobal(GlobalName(_stack.PopLast(2)))); break;
            case PickleOpcode.BinPersId: _stack.Push(_loadPersistent(_stack.Pop())); break;
            case PickleOpcode.Reduce: Call(_stack.PopLast(2)); break;
            case PickleOpcode.NewObj: New(_stack.Pop()); break;
            case PickleOpcode.Build: Build(_stack.Pop()); break;
            default: return false;
        }

        return true;
    }

    private void CheckProtocol(int protocol)
    {
        if (protocol is < 2 or > 5)
        {
            throw _input.Bad($"pickle protocol {protocol}; 2 to 5 are understood");
        }
    }

    /// <summary>An instance: of a class off the list only without arguments, and then it is an inert placeholder.</summary>
    private void New(object? arguments)
    {
        if (_stack.Top() is PickleUnknownClass unknown && arguments is List<object?> { Count: 0 })
        {
            _stack.ReplaceTop(new UnknownPickleValue(unknown.Name));
        }
        else
        {
            Call([_stack.Pop(), arguments]);
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

        _stack.Push(callable.Call(arguments));
    }

    /// <summary>Attributes of an object. A namespace's are its content; an OrderedDict's (_metadata) are of no use here.</summary>
    private void Build(object? state)
    {
        switch (_stack.Top())
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
                throw Misused(_stack.Top(), "attributes for something that has none");
        }
    }

    private void AddAll(List<object?> items)
    {
        if (_stack.Top() is not List<object?> list)
        {
            throw Misused(_stack.Top(), "elements for something that is not a list");
        }

        list.AddRange(items);
    }

    private void SetAll(List<object?> pairs)
    {
        if (_stack.Top() is not Dictionary<object, object?> dictionary || pairs.Count % 2 != 0)
        {
            throw Misused(_stack.Top(), "keys and values for something that is not a dictionary");
        }

        for (var i = 0; i < pairs.Count; i += 2)
        {
            if (pairs[i] is not string && (pairs[i] is not (long or bool or double) || ++_numberKeys > MaxNumberKeys))
            {
                throw _input.Bad($"a dictionary key that is neither text nor one of the first {MaxNumberKeys} numbers");
            }

            dictionary[pairs[i]!] = pairs[i + 1];
        }
    }

    private string GlobalName(List<object?> parts)
        => parts is [string module, string name] ? $"{module}.{name}" : throw _input.Bad("a global without a name");

    private void PushInteger(ReadOnlySpan<byte> littleEndian)
    {
        var value = new BigInteger(littleEndian);
        if (littleEndian.Length <= sizeof(long))
        {
            _stack.Push((long)value);
        }
        else
        {
            _stack.Push(value);
        }
    }

    private object? Recall(uint index)
        => _memo.TryGetValue(index, out var value) ? value : throw _input.Bad($"a reference to memo entry {index}, which was not stored");

    private void Spend(int objects)
    {
        _objects += objects;
        if (_objects > MaxObjects)
        {
            throw new DataFormatException(
                $"'{_input.Name}' builds more than {MaxObjects} objects; no checkpoint does. The file is damaged or hostile.");
        }
    }

    /// <summary>A name off the list is named, whatever was tried with it.</summary>
    private DataFormatException Misused(object? target, string found) => target switch
    {
        PickleUnknownClass unknown => unknown.Refuse(_input.Name),
        UnknownPickleValue instance => new PickleUnknownClass(instance.Name).Refuse(_input.Name),
        _ => _input.Bad(found),
    };
}

/// <summary>A Python name from the allow-list whose call we imitate. The only things a pickle can make us run.</summary>
/// <param name="Name">Module and name.</param>
/// <param name="Call">Turns the arguments into a plain value.</param>
internal sealed record PickleCallable(string Name, Func<IReadOnlyList<object?>, object?> Call);

/// <summary>A Python argparse.Namespace: a dictionary whose entries arrive as attributes.</summary>
internal sealed class PickleNamespace : Dictionary<object, object?>;

/// <summary>
/// A name outside the allow-list, tolerated as long as a pickle only makes an empty object of it; see <see cref="UnknownPickleValue"/>.
/// </summary>
/// <param name="Name">Module and name.</param>
internal sealed record PickleUnknownClass(string Name)
{
    /// <summary>The error for every other use.</summary>
    public DataFormatException Refuse(string path) => new(
        $"'{path}' asks for the Python name {StoredFile.Quote(Name)}, which is not on the list of what a checkpoint may contain; nothing was "
            + $"executed. " +
        "If you trust the file, save its weights alone in Python: torch.save(model.state_dict(), path).");
}
