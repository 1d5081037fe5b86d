using System;
using System.IO;
using System.Text;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

/// <summary>
/// Copies a 64-bit little-endian ELF library and sets VER_FLG_WEAK on one of its symbol-version needs, so that the dynamic
/// linker warns instead of refusing where the system library lacks that version. Only right when no symbol that is really
/// bound carries the version (checked by hand for TorchSharp 0.107.0 and GLIBCXX_3.4.32).
/// Layout: System V ABI, sections .gnu.version_r (Verneed, Vernaux).
/// </summary>
public sealed class MarkVersionNeedWeak : Task
{
    private const int SectionTypeVersionNeeds = 0x6ffffffe;
    private const ushort FlagWeak = 0x2;

    [Required] public string Source { get; set; }
    [Required] public string Destination { get; set; }
    [Required] public string VersionName { get; set; }

    public override bool Execute()
    {
        var elf = File.ReadAllBytes(Source);
        var marked = 0;
        if (elf.Length > 64 && elf[0] == 0x7f && elf[1] == 'E' && elf[2] == 'L' && elf[3] == 'F' && elf[4] == 2 && elf[5] == 1)
        {
            var sections = (int)BitConverter.ToInt64(elf, 0x28);
            int entrySize = BitConverter.ToUInt16(elf, 0x3a), count = BitConverter.ToUInt16(elf, 0x3c);
            for (var i = 0; i < count; i++)
            {
                var section = sections + i * entrySize;
                if (BitConverter.ToInt32(elf, section + 4) == SectionTypeVersionNeeds)
                {
                    var strings = sections + BitConverter.ToInt32(elf, section + 0x28) * entrySize;
                    marked += Mark(elf, (int)BitConverter.ToInt64(elf, section + 0x18), (int)BitConverter.ToInt64(elf, strings + 0x18));
                }
            }
        }

        Directory.CreateDirectory(Path.GetDirectoryName(Destination));
        File.Delete(Destination); // never write through a hard link into the package cache
        File.WriteAllBytes(Destination, elf);
        Log.LogMessage(MessageImportance.Normal, "{0}: {1} version need(s) {2} marked weak", Path.GetFileName(Destination), marked, VersionName);
        return true;
    }

    private int Mark(byte[] elf, int need, int strings)
    {
        var marked = 0;
        while (true)
        {
            int auxCount = BitConverter.ToUInt16(elf, need + 2), next = BitConverter.ToInt32(elf, need + 12);
            var aux = need + BitConverter.ToInt32(elf, need + 8);
            for (var j = 0; j < auxCount; j++)
            {
                if (ReadString(elf, strings + BitConverter.ToInt32(elf, aux + 8)) == VersionName)
                {
                    var flags = (ushort)(BitConverter.ToUInt16(elf, aux + 4) | FlagWeak);
                    elf[aux + 4] = (byte)flags;
                    elf[aux + 5] = (byte)(flags >> 8);
                    marked++;
                }

                aux += BitConverter.ToInt32(elf, aux + 12);
            }

            if (next == 0)
            {
                return marked;
            }

            need += next;
        }
    }

    private static string ReadString(byte[] elf, int offset)
    {
        var end = Array.IndexOf(elf, (byte)0, offset);
        return Encoding.ASCII.GetString(elf, offset, end - offset);
    }
}
