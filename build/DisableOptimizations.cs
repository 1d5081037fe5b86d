using System;
using System.IO;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

/// <summary>
/// Copies TorchSharp.dll with two edits. Its attribute [Debuggable(IgnoreSymbolStoreSequencePoints)] becomes one that forbids the JIT to optimise
/// it, so that arguments live until a method returns; its version 0.107.0.0 becomes 0.107.0.1, so that builds prefer this copy to the package's and
/// the runtime refuses that one. Fails where attribute and version are not found exactly once (ECMA-335, II.23.3: length 8, prolog 0001, the value,
/// no named arguments; II.22.2: hash algorithm, four numbers of two bytes).
/// </summary>
public sealed class DisableOptimizations : Task
{
    private static readonly byte[] Attribute = { 8, 1, 0, 2, 0, 0, 0, 0, 0 };
    private const int ValueAt = 3;
    private static readonly byte[] Version = { 4, 0x80, 0, 0, 0, 0, 107, 0, 0, 0, 0, 0 };
    private const int RevisionAt = 10;
    private const int Disabled = 0x107; // Default | IgnoreSymbolStoreSequencePoints | EnableEditAndContinue | DisableOptimizations

    [Required] public string Source { get; set; }
    [Required] public string Destination { get; set; }

    public override bool Execute()
    {
        var assembly = File.ReadAllBytes(Source);
        int attribute = FindOnce(assembly, Attribute), version = FindOnce(assembly, Version);
        if (attribute < 0 || version < 0)
        {
            Log.LogError(
                "'{0}' is another version than this edit was made for: its Debuggable attribute or its version was not found exactly once. "
                + "See docs/adr/0009-torchsharp-scalars.md.",
                Source);
            return false;
        }

        BitConverter.GetBytes(Disabled).CopyTo(assembly, attribute + ValueAt);
        assembly[version + RevisionAt] = 1;
        Directory.CreateDirectory(Path.GetDirectoryName(Destination));
        File.Delete(Destination); // never write through a hard link into the package cache
        File.WriteAllBytes(Destination, assembly);
        return true;
    }

    private static int FindOnce(byte[] bytes, byte[] pattern)
    {
        var first = Find(bytes, pattern, 0);
        return first >= 0 && Find(bytes, pattern, first + 1) < 0 ? first : -1;
    }

    private static int Find(byte[] bytes, byte[] pattern, int from)
    {
        for (var i = from; i <= bytes.Length - pattern.Length; i++)
        {
            var length = 0;
            while (length < pattern.Length && bytes[i + length] == pattern[length])
            {
                length++;
            }

            if (length == pattern.Length)
            {
                return i;
            }
        }

        return -1;
    }
}
