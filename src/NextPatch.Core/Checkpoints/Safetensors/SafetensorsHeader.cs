namespace NextPatch.Core.Checkpoints.Safetensors;

/// <summary>What a safetensors file declares, read without its tensors.</summary>
/// <param name="Entries">Tensors by name, in the order of the header.</param>
/// <param name="Metadata">The free text pairs under "__metadata__"; empty if absent.</param>
public sealed record SafetensorsHeader(IReadOnlyDictionary<string, SafetensorsEntry> Entries, IReadOnlyDictionary<string, string> Metadata);
