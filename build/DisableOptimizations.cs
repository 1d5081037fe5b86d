using System;
using System.IO;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

/// <summary>
/// Copies an assembly and changes its attribute [Debuggable(IgnoreSymbolStoreSequencePoints)] to one that forbids the JIT to optimise it, so that arguments
/// live until a method returns. Fails where the attribute is not found exactly once (ECMA-335, II.23.3: length 8, prolog 0001, the value, no named arguments).
/// </summary>
public sealed class DisableOptimizations : Task
{
    private static readonly byte[] Attribute = { 8, 1, 0, 2, 0, 0, 0, 0, 0 };
    private const int ValueAt = 3;
    private const int Disabled = 0x107; // Default | IgnoreSymbolStoreSequencePoints | EnableEditAndContinue | DisableOptimizations

    [Required] public string Source { get; set; }
    [Required] public string Destination { get; set; }

    public override bool Execute()
    {
        var assembly = File.ReadAllBytes(Source);
        var first = Find(assembly, 0);
        if (first < 0 || Find(assembly, first + 1) >= 0)
        {
            Log.LogError("'{0}' is another version than this edit was made for: its Debuggable attribute was not found exactly once. See docs/adr/0009-torchsharp-scalars.md.", Source);
            return false;
        }

        BitConverter.GetBytes(Disabled).CopyTo(assembly, first + ValueAt);
        Directory.CreateDirectory(Path.GetDirectoryName(Destination));
        File.Delete(Destination); // never write through a hard link into the package cache
        File.WriteAllBytes(Destination, assembly);
        return true;
    }

    private static int Find(byte[] bytes, int from)
    {
        for (var i = from; i <= bytes.Length - Attribute.Length; i++)
        {
            var length = 0;
            while (length < Attribute.Length && bytes[i + length] == Attribute[length])
            {
                length++;
            }

            if (length == Attribute.Length)
            {
                return i;
            }
        }

        return -1;
    }
}
