using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.Safetensors;

/// <summary>What a safetensors file declares, read without its tensors.</summary>
/// <param name="Entries">Tensors by name, in the order of the header.</param>
/// <param name="Metadata">The free text pairs under "__metadata__"; empty if absent.</param>
public sealed record SafetensorsHeader(IReadOnlyDictionary<string, SafetensorsEntry> Entries, IReadOnlyDictionary<string, string> Metadata);

/// <summary>Where one tensor of a safetensors file lies.</summary>
/// <param name="Name">Its key.</param>
/// <param name="Type">Element type.</param>
/// <param name="Shape">Extents, outermost first; empty for a scalar.</param>
/// <param name="Offset">Bytes from the start of the file to the first element.</param>
/// <param name="ByteCount">Bytes of element data, C-contiguous and little-endian.</param>
public sealed record SafetensorsEntry(string Name, ElementType Type, IReadOnlyList<long> Shape, long Offset, long ByteCount);
