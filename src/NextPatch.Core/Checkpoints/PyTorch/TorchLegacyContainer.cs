using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using NextPatch.Core.Checkpoints.Pickle;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.PyTorch;

/// <summary>
/// What torch.save wrote before PyTorch 1.6, and still writes on request: five pickles (magic number, protocol, machine, content,
/// storage keys), then every storage as its element count and its elements.
/// </summary>
/// <remarks>Source of the layout: torch/serialization.py, _legacy_save.</remarks>
internal sealed class TorchLegacyContainer : ITorchContainer
{
    private const long ProtocolVersion = 1001;
    private const int CountBytes = sizeof(long);

    private static readonly BigInteger Magic = BigInteger.Parse("1950A86A20F9469CFC6C", NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private readonly string _path;
    private readonly MappedFile _file;
    private readonly Dictionary<string, TorchStorage> _declared = [];
    private readonly Dictionary<string, long> _offsets = [];

    public TorchLegacyContainer(string path)
    {
        _path = path;
        _file = new MappedFile(path);
    }

    public object? Unpickle()
    {
        using var start = _file.OpenStream(0, Math.Min(_file.Length, PyTorchFile.MaxPickleBytes));
        var input = new PickleCursor(start, _path);
        var globals = new TorchGlobals(_path, _file.Length);
        object? Next() => new Unpickler(input, globals.Find, FindStorage).Load();
        var magic = Next();
        if (magic is not BigInteger number || number != Magic)
        {
            throw new DataFormatException(
                $"'{_path}' is a bare pickle, not a PyTorch checkpoint: its first value is not torch.save's mark. Write it with torch.save.");
        }

        var protocol = Next();
        if (protocol is not ProtocolVersion)
        {
            throw Bad($"the protocol version is {StoredFile.Quote($"{protocol}")}, expected {ProtocolVersion}");
        }

        if (Next() is not Dictionary<object, object?> machine || machine.GetValueOrDefault("little_endian") is not true)
        {
            throw Bad("it was not written on a little-endian machine");
        }

        var content = Next();
        Locate(Next(), input.Position);
        return content;
    }

    public StoredTensor Locate(TorchTensor tensor)
        => new LaidOutTensor(_file, new Lazy<long>(_offsets[tensor.Storage.Key] + tensor.ByteOffset), tensor.Type, tensor.Shape, tensor.Strides);

    public void Dispose() => _file.Dispose();

    /// <summary>('storage', type, key, device, element count, view), where a view is None or (its key, first element, element count).</summary>
    private TorchStorage FindStorage(object? id)
    {
        if (id is not List<object?> parts || parts is not ["storage", ElementType type, string key, _, long count, var view])
        {
            throw Bad("it refers to a storage in an unknown way");
        }

        _ = StoredShape.ByteCount($"{_path}: {key}", type, [count]);
        var whole = new TorchStorage(type, key, 0, count);
        if (!_declared.TryAdd(key, whole) && _declared[key] != whole)
        {
            throw Bad($"it uses the storage {StoredFile.Quote(key)} with two types or sizes");
        }

        return view switch
        {
            null => whole,
            List<object?> and [_, long first, long length] when first >= 0 && length >= 0 && first <= count - length => whole with
            {
                Start = first,
                Count = length,
            },
            _ => throw Bad($"it refers to a part outside the storage {StoredFile.Quote(key)} of {count} elements"),
        };
    }

    /// <summary>Finds where every storage lies, and checks that all of them are there.</summary>
    private void Locate(object? keys, long position)
    {
        Span<byte> countBytes = stackalloc byte[CountBytes];
        foreach (var item in keys as List<object?> ?? throw Bad("it has no list of storages"))
        {
            if (item is not string key || !_declared.TryGetValue(key, out var storage) || !_offsets.TryAdd(key, position + CountBytes))
            {
                throw Bad("its list of storages names one twice or one that no tensor uses");
            }

            _file.Read(position, countBytes);
            var count = BinaryPrimitives.ReadInt64LittleEndian(countBytes);
            position += CountBytes;

            // Compared this way round, because a sum could overflow.
            if (count != storage.Count || storage.Count * storage.Type.Size() > _file.Length - position)
            {
                throw Bad($"the storage {StoredFile.Quote(key)} should hold {storage.Count} elements but declares {count}, from byte {position} of "
                    + $"{_file.Length}");
            }

            position += storage.Count * storage.Type.Size();
        }

        if (_declared.Keys.FirstOrDefault(key => !_offsets.ContainsKey(key)) is { } missing)
        {
            throw Bad($"the storage {StoredFile.Quote(missing)} is not in its list of storages");
        }
    }

    private DataFormatException Bad(string found) => new($"'{_path}' is not a valid PyTorch checkpoint: {found}; the file is damaged.");
}
