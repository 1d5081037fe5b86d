using CsCheck;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Tests.Checkpoints.Zip;

/// <summary>A flipped bit in an archive is found however its elements are read, and not much later than it must be.</summary>
public sealed class MemberCheckTests
{
    private const int Bytes = 2_300_000; // more than two of the parts in which tensors are written

    [Theory]
    [InlineData("a.pt")]
    [InlineData("a.npz")]
    public void Parts_in_any_order_are_the_whole_or_refused(string name)
    {
        using var folder = new TemporaryFolder();
        var (whole, start) = Write(folder[name]);
        Gen.Select(Gen.Int[0, Bytes / 2], Gen.Int[0, Bytes / 2], Gen.Int[0, Bytes - 1], Gen.Bool, Gen.Bool).Sample(
            (first, second, damaged, isDamaged, isReversed) =>
            {
                Flip(folder[name], isDamaged ? start + damaged : null);
                using var file = WeightsFile.Open(folder[name]);
                var tensor = file.Tensors["a"];
                var read = new byte[Bytes];
                var cuts = new[] { 0, first, first + second, Bytes };
                var parts = Enumerable.Range(0, 3).Select(i => (cuts[i], cuts[i + 1])).Where(p => p.Item1 < p.Item2);
                void ReadParts()
                {
                    foreach (var (from, to) in isReversed ? parts.Reverse() : parts)
                    {
                        tensor.CopyTo(from, read.AsSpan(from..to));
                    }
                }

                if (isDamaged)
                {
                    Assert.Throws<DataFormatException>(ReadParts);
                }
                else
                {
                    ReadParts();
                    Assert.True(whole.AsSpan().SequenceEqual(read));
                }

                Flip(folder[name], isDamaged ? start + damaged : null);
            },
            iter: 60,
            threads: 1);
    }

    [Theory]
    [InlineData("a.pt")]
    [InlineData("a.npz")]
    public void A_part_out_of_order_is_not_given_out_of_a_damaged_member(string name)
    {
        using var folder = new TemporaryFolder();
        Flip(folder[name], Write(folder[name]).Start + Bytes - 1);
        using var file = WeightsFile.Open(folder[name]);
        var tensor = file.Tensors["a"];
        tensor.CopyTo(0, new byte[100]);
        tensor.CopyTo(100, new byte[100]);
        Assert.Throws<DataFormatException>(() => tensor.CopyTo(50, new byte[100]));
        Assert.Throws<DataFormatException>(() => tensor.CopyTo(300, new byte[100]));
    }

    [Theory]
    [InlineData("a.pt")]
    [InlineData("a.npz")]
    public void Nothing_is_written_from_a_damaged_member(string name)
    {
        using var folder = new TemporaryFolder();
        Flip(folder[name], Write(folder[name]).Start + Bytes - 1);
        using var file = WeightsFile.Open(folder[name]);
        Assert.Contains(
            "checksum", Assert.Throws<DataFormatException>(() => SafetensorsFile.Write(folder["b.safetensors"], file.Tensors)).Message,
            StringComparison.Ordinal);
        Assert.Equal([folder[name]], Directory.GetFiles(folder.Path));
    }

    private static (byte[] Elements, int Start) Write(string path)
    {
        var bytes = new byte[Bytes];
        new Random(7).NextBytes(bytes);
        var tensors = new[] { KeyValuePair.Create("a", StoredTensor.From(new HostTensor(ElementType.UInt8, [Bytes], bytes))) };
        if (path.EndsWith(".pt", StringComparison.Ordinal))
        {
            PyTorchFile.Write(path, tensors);
        }
        else
        {
            NpzFile.Write(path, tensors);
        }

        return (bytes, File.ReadAllBytes(path).AsSpan().IndexOf(bytes));
    }

    /// <summary>Changes a byte of a file, or changes it back.</summary>
    private static void Flip(string path, int? index)
    {
        if (index is { } at)
        {
            var bytes = File.ReadAllBytes(path);
            bytes[at] ^= 4;
            File.WriteAllBytes(path, bytes);
        }
    }
}
