using System.Buffers.Binary;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Checkpoints.Zip;
using NextPatch.Core.Tensors;
using NextPatch.Core.Tests.Checkpoints.PyTorch;

namespace NextPatch.Core.Tests.Checkpoints;

/// <summary>Files of five gigabytes that are holes but for a few bytes: listing them and reading one tensor costs next to nothing.</summary>
public sealed class LargeFileTests
{
    private const long Large = 5L << 28; // elements: 5 GiB as float32

    [Fact]
    public void A_safetensors_file_is_listed_and_read_in_parts()
    {
        using var folder = new TemporaryFolder();
        var header = $$$"""{"big":{"dtype":"F32","shape":[5,268435456],"data_offsets":[0,{{{4 * Large}}}]},"small":"""
            + $$$"""{"dtype":"F32","shape":[1],"data_offsets":[{{{4 * Large}}},{{{(4 * Large) + 4}}}]}}""";
        using (var stream = File.Create(folder["a.safetensors"]))
        {
            stream.Write([.. BitConverter.GetBytes((long)header.Length), .. System.Text.Encoding.ASCII.GetBytes(header)]);
            stream.Position += 4 * Large;
            stream.Write(BitConverter.GetBytes(7f));
        }

        AssertReadsKilobytes(folder["a.safetensors"], path => SafetensorsFile.Open(path).Dispose());
        AssertCheap(() =>
        {
            using var file = SafetensorsFile.Open(folder["a.safetensors"]);
            Assert.Equal(4 * Large, file.Tensors["big"].ByteCount);
            Assert.Equal([7f], file.Tensors["small"].Read().ToSingles());
            AssertEndsInZero(file.Tensors["big"]);
        });
    }

    [Fact]
    public void A_zip_checkpoint_and_an_archive_are_listed_and_read_in_parts()
    {
        using var folder = new TemporaryFolder();
        using (var stream = new HoleStream(folder["a.pt"]))
        {
            TorchZipWriter.Write(
                stream, "a", new Dictionary<object, object?> { ["small"] = HostTensor.FromSingles([1], [7]), ["big"] = new Zeros([5, Large / 5]) });
        }

        using (var stream = new HoleStream(folder["a.npz"]))
        {
            var zip = new StoredZipWriter(stream);
            zip.Begin("big.npy", 128 + (4 * Large));
            zip.Write(NpyHeaderFormat.Write(ElementType.Float32, [5, Large / 5]));
            new Zeros([5, Large / 5]).WriteTo(zip.Write);
            zip.End();
            zip.Finish();
        }

        AssertReadsKilobytes(folder["a.pt"], path => PyTorchFile.Open(path).Dispose());
        AssertReadsKilobytes(folder["a.npz"], path => NpzFile.Open(path).Dispose());
        AssertCheap(() =>
        {
            using var file = PyTorchFile.Open(folder["a.pt"]);
            var top = Assert.IsType<Dictionary<object, object?>>(file.Content);
            Assert.Equal([7f], Assert.IsAssignableFrom<StoredTensor>(top["small"]).Read().ToSingles());
            Assert.Equal(4 * Large, Assert.IsAssignableFrom<StoredTensor>(top["big"]).ByteCount);
            using var archive = NpzFile.Open(folder["a.npz"]);
            Assert.Equal([5, Large / 5], archive.Tensors["big"].Shape);
        });
        using var whole = NpzFile.Open(folder["a.npz"]);
        AssertEndsInZero(whole.Tensors["big"]); // checks the checksum of all of it
    }

    [Fact]
    public void A_legacy_checkpoint_is_listed_and_read_in_parts()
    {
        using var folder = new TemporaryFolder();
        using (var stream = File.Create(folder["a.pt"]))
        {
            stream.Write(PyTorchLegacyTests.Legacy(PyTorchLegacyTests.Content(Large, (Large - 2, 2)), ["k"], (Large, [])));
            stream.Position += (4 * Large) - 4;
            stream.Write(BitConverter.GetBytes(7f));
        }

        AssertReadsKilobytes(folder["a.pt"], path => PyTorchFile.Open(path).Dispose());
        AssertCheap(() =>
        {
            using var file = PyTorchFile.Open(folder["a.pt"]);
            Assert.Equal([0f, 7f], Assert.IsAssignableFrom<StoredTensor>(file.Content).Read().ToSingles());
        });
    }

    private static void AssertEndsInZero(StoredTensor tensor)
    {
        var last = new byte[4];
        tensor.CopyTo(tensor.ByteCount - 4, last);
        Assert.Equal(0f, BinaryPrimitives.ReadSingleLittleEndian(last));
        Assert.Contains("cannot be read into memory", Assert.Throws<DataFormatException>(() => tensor.Read()).Message, StringComparison.Ordinal);
    }

    /// <summary>Headers must not be read through a mapping: a page fault there has Linux read megabytes around it.</summary>
    private static void AssertReadsKilobytes(string path, Action<string> open)
    {
        open(path);
        Assert.True(!OperatingSystem.IsLinux() || FileCache.BytesOf(path) is > 0 and < 1 << 20, $"{path}: {FileCache.BytesOf(path)} bytes were read");
    }

    private static void AssertCheap(Action action)
    {
        action(); // compiled
        var before = GC.GetAllocatedBytesForCurrentThread();
        action();
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    private sealed class Zeros : StoredTensor
    {
        public Zeros(IReadOnlyList<long> shape)
            : base(ElementType.Float32, shape)
        {
        }

        public override void CopyTo(long offset, Span<byte> destination) => destination.Clear();
    }

    /// <summary>A file in which long runs of zeros are holes.</summary>
    private sealed class HoleStream(string path) : FileStream(path, FileMode.Create)
    {
        public override void Write(ReadOnlySpan<byte> buffer)
        {
            if (buffer.Length >= 1 << 16 && buffer.IndexOfAnyExcept((byte)0) < 0)
            {
                Position += buffer.Length;
            }
            else
            {
                base.Write(buffer);
            }
        }
    }
}
