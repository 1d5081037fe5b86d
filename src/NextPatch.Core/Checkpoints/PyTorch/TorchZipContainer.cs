using System.Text;
using NextPatch.Core.Checkpoints.Pickle;
using NextPatch.Core.Checkpoints.Zip;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.PyTorch;

/// <summary>What torch.save writes since PyTorch 1.6: a zip archive of data.pkl and data/0, data/1, ...</summary>
internal sealed class TorchZipContainer : ITorchContainer
{
    private const string PickleName = "data.pkl";
    private const long AlwaysVerifiedBytes = 1 << 26;

    private readonly StoredZip _zip;
    private readonly string _path;
    private readonly string _root;

    /// <exception cref="DataFormatException">Not a zip archive, or one without a single pickle.</exception>
    public TorchZipContainer(string path)
    {
        _path = path;
        _zip = new StoredZip(path);
        try
        {
            _root = FindRoot();
            CheckByteOrder();
        }
        catch
        {
            _zip.Dispose();
            throw;
        }
    }

    public object? Unpickle()
    {
        using var pickle = new MemoryStream(_zip.Read(_root + PickleName, PyTorchFile.MaxPickleBytes));
        return new Unpickler(new PickleCursor(pickle, _path), new TorchGlobals(_path, _zip.File.Length).Find, FindStorage).Load();
    }

    public StoredTensor Locate(TorchTensor tensor)
    {
        var member = _zip.Find(MemberOf(tensor.Storage.Key));

        // Reading a small part of a large storage must not cost the whole, so that is not checked against the checksum.
        var bytes = HostTensor.CountElements(tensor.Shape) * tensor.Type.Size();
        var check = bytes == member.Length || member.Length <= AlwaysVerifiedBytes ? new MemberCheck(_zip, member, headerBytes: 0, bytes) : null;
        return new LaidOutTensor(
            _zip.File, new Lazy<long>(() => _zip.OffsetOf(member) + tensor.ByteOffset), tensor.Type, tensor.Shape, tensor.Strides, check: check);
    }

    public void Dispose() => _zip.Dispose();

    private string MemberOf(string key) => $"{_root}data/{key}";

    private string FindRoot()
    {
        var pickles = _zip.Names.Where(n => n == PickleName || n.EndsWith("/" + PickleName, StringComparison.Ordinal)).ToList();
        return pickles is [var pickle]
            ? pickle[..^PickleName.Length]
            : throw new DataFormatException(
                $"'{_path}' is a zip archive with {pickles.Count} members named {PickleName}; a PyTorch checkpoint has one.");
    }

    private void CheckByteOrder()
    {
        var member = _root + "byteorder";
        if (_zip.Contains(member) && Encoding.ASCII.GetString(_zip.Read(member, 16)) is var order and not "little")
        {
            throw new DataFormatException($"'{_path}' was written with byte order {StoredFile.Quote(order)}; little-endian files are understood.");
        }
    }

    /// <summary>('storage', type, key, device, element count): the device is where it was, not where it goes.</summary>
    private TorchStorage FindStorage(object? id)
    {
        if (id is not List<object?> parts || parts is not ["storage", ElementType type, string key, _, long count])
        {
            throw new DataFormatException($"'{_path}' is not a valid PyTorch checkpoint: it refers to a storage in an unknown way.");
        }

        var member = MemberOf(key);
        var bytes = StoredShape.ByteCount($"{_path}: {member}", type, [count]);
        return _zip.Find(member) is { IsDeflated: false } found && found.Length == bytes
            ? new TorchStorage(type, key, 0, count)
            : throw new DataFormatException(
                $"'{_path}: {member}' should hold {bytes} uncompressed bytes but declares {_zip.Find(member).Length}; the file is damaged.");
    }
}
