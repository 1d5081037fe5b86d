using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.Numpy;

/// <summary>Parses the Python dictionary literal of a .npy header; nothing is evaluated.</summary>
internal sealed class NpyHeaderParser
{
    private readonly string _text;
    private readonly string _name;
    private int _at;

    public NpyHeaderParser(string text, string name)
    {
        _text = text;
        _name = name;
    }

    public (ElementType Type, bool BigEndian, bool FortranOrder, long[] Shape) Parse()
    {
        (ElementType Type, bool BigEndian)? descriptor = null;
        bool? fortran = null;
        long[]? shape = null;
        Expect('{');
        while (!TryTake('}'))
        {
            var key = QuotedString();
            Expect(':');
            switch (key)
            {
                case "descr" when descriptor is null: descriptor = Descriptor(); break;
                case "fortran_order" when fortran is null: fortran = Boolean(); break;
                case "shape" when shape is null: shape = Shape(); break;
                default: throw Bad($"the unexpected key {StoredFile.Quote(key)}");
            }

            if (!TryTake(','))
            {
                Expect('}');
                break;
            }
        }

        SkipSpace();
        return _at == _text.Length && descriptor is var (type, bigEndian) && fortran is not null && shape is not null
            ? (type, bigEndian, fortran.Value, shape)
            : throw Bad("missing keys or trailing text; 'descr', 'fortran_order' and 'shape' were expected");
    }

    private (ElementType Type, bool BigEndian) Descriptor()
    {
        SkipSpace();
        if (_at < _text.Length && _text[_at] == '[')
        {
            throw new DataFormatException($"'{_name}' holds structured records; arrays of plain numbers are understood. Save each field on its own.");
        }

        var text = QuotedString();
        ElementType? type = text.Length is 3 or 4 && text[0] is '<' or '>' or '|' or '=' ? text[1..] switch
        {
            "b1" => ElementType.Bool,
            "u1" => ElementType.UInt8,
            "i1" => ElementType.Int8,
            "u2" => ElementType.UInt16,
            "i2" => ElementType.Int16,
            "u4" => ElementType.UInt32,
            "i4" => ElementType.Int32,
            "u8" => ElementType.UInt64,
            "i8" => ElementType.Int64,
            "f2" => ElementType.Float16,
            "f4" => ElementType.Float32,
            "f8" => ElementType.Float64,
            "c8" => ElementType.Complex64,
            "c16" => ElementType.Complex128,
            _ => null,
        } : null;
        return type is not null
            ? (type.Value, text[0] == '>')
            : throw new DataFormatException(
                $"'{_name}' has the NumPy element type {StoredFile.Quote(text)}; expected bool, an integer of 1 to 8 bytes or a float of 2 to 8 "
                    + $"bytes. Objects are never loaded.");
    }

    private bool Boolean()
    {
        SkipSpace();
        foreach (var value in (ReadOnlySpan<bool>)[true, false])
        {
            if (_text.AsSpan(_at).StartsWith(value.ToString(), StringComparison.Ordinal))
            {
                _at += value.ToString().Length;
                return value;
            }
        }

        throw Bad("a value that is neither True nor False");
    }

    private long[] Shape()
    {
        var shape = new List<long>();
        Expect('(');
        while (!TryTake(')'))
        {
            shape.Add(Integer());
            if (shape.Count > StoredShape.MaxRank)
            {
                throw Bad($"more than {StoredShape.MaxRank} dimensions");
            }

            if (!TryTake(','))
            {
                Expect(')');
                break;
            }
        }

        return [.. shape];
    }

    private long Integer()
    {
        SkipSpace();
        var start = _at;
        while (_at < _text.Length && (char.IsAsciiDigit(_text[_at]) || (_at == start && _text[_at] == '-')))
        {
            _at++;
        }

        if (!long.TryParse(_text.AsSpan(start, _at - start), out var value))
        {
            throw Bad($"the extent {StoredFile.Quote(_text[start.._at])}, which is not a 64-bit integer");
        }

        // Python 2 wrote long integers with a suffix.
        if (_at < _text.Length && _text[_at] == 'L')
        {
            _at++;
        }

        return value;
    }

    private string QuotedString()
    {
        SkipSpace();
        var quote = _at < _text.Length ? _text[_at] : '\0';
        var end = quote is '\'' or '"' ? _text.IndexOf(quote, _at + 1) : -1;
        if (end < 0)
        {
            throw Bad("text where a quoted string was expected");
        }

        var value = _text[(_at + 1)..end];
        _at = end + 1;
        return value;
    }

    private void Expect(char c)
    {
        if (!TryTake(c))
        {
            throw Bad($"no '{c}' where one was expected");
        }
    }

    private bool TryTake(char c)
    {
        SkipSpace();
        var found = _at < _text.Length && _text[_at] == c;
        _at += found ? 1 : 0;
        return found;
    }

    private void SkipSpace()
    {
        while (_at < _text.Length && _text[_at] is ' ' or '\n' or '\t' or '\r')
        {
            _at++;
        }
    }

    private DataFormatException Bad(string found) => new($"'{_name}' has a damaged .npy header: {found} (at character {_at}).");
}
