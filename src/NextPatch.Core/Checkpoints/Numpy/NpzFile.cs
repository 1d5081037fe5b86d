using NextPatch.Core.Checkpoints.Zip;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.Numpy;

/// <summary>NumPy archives (.npz): zip files of .npy members, stored or deflated.</summary>
public static class NpzFile
{
    private const string Suffix = ".npy";

    /// <summary>Opens an archive and reads the headers of its arrays. Deflated arrays are inflated each time they are read.</summary>
    /// <returns>Arrays by name without ".npy", in archive order.</returns>
    /// <exception cref="DataFormatException">The archive or one of its headers is damaged or describes something other than plain
    /// numbers.</exception>
    public static TensorFile Open(string path)
    {
        var zip = new StoredZip(path);
        try
        {
            var arrays = new Dictionary<string, StoredTensor>();
            foreach (var member in zip.Names)
            {
                var name = member.EndsWith(Suffix, StringComparison.Ordinal) ? member[..^Suffix.Length] : member;
                if (!arrays.TryAdd(name, OpenMember(zip, zip.Find(member), $"{path}: {member}")))
                {
                    throw new DataFormatException($"'{path}' holds two arrays named {StoredFile.Quote(name)}.");
                }
            }

            return new TensorFile(path, arrays, new Dictionary<string, string>(), [zip]);
        }
        catch
        {
            zip.Dispose();
            throw;
        }
    }

    /// <summary>Reads every array into memory.</summary>
    /// <returns>Arrays by name without ".npy", in archive order.</returns>
    /// <exception cref="DataFormatException">The archive or one of its arrays is damaged or not plain numbers.</exception>
    public static IReadOnlyDictionary<string, HostTensor> Read(string path)
    {
        using var file = Open(path);
        return file.ReadAll();
    }

    /// <summary>Writes arrays uncompressed, in the order given; the file appears once it is complete on disk.</summary>
    /// <param name="path">Replaced if it exists.</param>
    /// <param name="arrays">Arrays by name; names must differ.</param>
    /// <exception cref="NextPatchException">NumPy lacks an element type (bfloat16, float8), or the file cannot be written.</exception>
    public static void Write(string path, IEnumerable<KeyValuePair<string, StoredTensor>> arrays) => StoredFile.Replace(path, stream =>
    {
        var zip = new StoredZipWriter(stream);
        foreach (var (name, array) in arrays)
        {
            var header = NpyHeaderFormat.Write(array.Type, array.Shape);
            zip.Begin(name + Suffix, header.Length + array.ByteCount);
            zip.Write(header);
            array.WriteTo(zip.Write);
            zip.End();
        }

        zip.Finish();
    });

    private static StoredTensor OpenMember(StoredZip zip, ZipMember member, string shown)
    {
        if (!member.IsDeflated)
        {
            return NpyFile.In(
                zip.File, zip.OffsetOf(member), member.StoredLength, shown,
                header => new MemberCheck(zip, member, header.DataOffset, header.ByteCount));
        }

        // The header first: a member whose declared length is not what its shape needs is refused before it is inflated.
        var header = zip.Peek(member.Name, stream => NpyFile.ReadHeader(stream, shown));
        return member.Length == header.DataOffset + header.ByteCount
            ? new InflatedTensor(zip, member.Name, header)
            : throw new DataFormatException(
                $"'{shown}' has {member.Length} bytes but its shape {HostTensor.Describe(header.Shape)} needs "
                + $"{header.DataOffset + header.ByteCount}; the file is damaged.");
    }
}
