namespace NextPatch.Core.Checkpoints.Zip;

/// <summary>One member of a zip archive as the directory describes it.</summary>
/// <param name="Name">Its path in the archive.</param>
/// <param name="IsDeflated">Else stored as it is.</param>
/// <param name="Checksum">CRC-32 of the content.</param>
/// <param name="StoredLength">Bytes in the archive.</param>
/// <param name="Length">Bytes of the content.</param>
/// <param name="HeaderOffset">Where its local header lies.</param>
/// <param name="Limit">Where the next member or the directory begins: its bytes end before.</param>
internal sealed record ZipMember(string Name, bool IsDeflated, uint Checksum, long StoredLength, long Length, long HeaderOffset, long Limit);
