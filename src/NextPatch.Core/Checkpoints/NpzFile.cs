namespace NextPatch.Core.Checkpoints;

/// <summary>NumPy archives (.npz): zip files of .npy members, stored or deflated.</summary>
public static class NpzFile
{
    private const string Suffix = ".npy";

    /// <summary>Reads every array into memory.</summary>
    /// <returns>Arrays by name without ".npy", in archive order.</returns>
    /// <exception cref="DataFormatException">The archive or one of its arrays is damaged or not plain numbers.</exception>
    public static IReadOnlyDictionary<string, HostTensor> Read(string path)
    {
        using var zip = new StoredZip(path);
        var arrays = new Dictionary<string, HostTensor>();
        foreach (var member in zip.Names)
        {
            var name = member.EndsWith(Suffix, StringComparison.Ordinal) ? member[..^Suffix.Length] : member;
            if (!arrays.TryAdd(name, ReadMember(zip, member, $"{path}: {member}")))
            {
                throw new DataFormatException($"'{path}' holds two arrays named {StoredFile.Quote(name)}.");
            }
        }

        return arrays;
    }

    private static HostTensor ReadMember(StoredZip zip, string member, string shown)
    {
        // The header first: a member whose declared length is not what its shape needs is refused before it is inflated.
        var header = zip.Peek(member, stream => NpyFile.ReadHeader(stream, shown));
        var expected = header.DataOffset + (long)StoredShape.ByteCountInMemory(shown, header.Type, header.Shape);
        return zip.LengthOf(member) == expected
            ? NpyFile.Decode(zip.Read(member, expected).AsMemory(header.DataOffset), header)
            : throw new DataFormatException($"'{shown}' has {zip.LengthOf(member)} bytes but its shape {HostTensor.Describe(header.Shape)} needs {expected}; the file is damaged.");
    }
}
