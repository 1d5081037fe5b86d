using System.Diagnostics;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.Pickle;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Checkpoints.Zip;
using NextPatch.Core.Tensors;
using NextPatch.Core.Tests.Checkpoints.Numpy;
using NextPatch.Core.Tests.Checkpoints.Pickle;

namespace NextPatch.Core.Tests.Checkpoints;

/// <summary>
/// Damaged and hostile files of every format are read or refused by the project's own exception, within a second and 100 MB.
/// NEXTPATCH_FUZZ sets the number of files per format (100000 takes minutes), NEXTPATCH_FUZZ_SEED the first seed.
/// </summary>
public sealed class FuzzTests
{
    private const int DefaultCount = 400;
    private const long MaxBytes = 100_000_000;
    private static readonly TimeSpan MaxTime = TimeSpan.FromSeconds(1);

    private static readonly byte[][] Legacy = [.. Fixtures("views_legacy.pt", "python2_style_legacy.pth")];
    private static readonly byte[][] Checkpoints = [.. Fixtures("views.pt", "exotic_args.pt", "unknown_class.pt"), Float8()];
    private static readonly byte[][] Zips = [.. Fixtures("views.pt", "bf16.pt", "official.pt")];
    private static readonly byte[][] Archives = [.. Fixtures("fortran.npz", "expected_views.npz")];

    [Fact]
    public void PyTorch_zip_files() => Fuzz("pt", m => m.Change(Pick(m, Zips)), path => PyTorchFile.Read(path));

    [Fact]
    public void PyTorch_legacy_files() => Fuzz("pt-legacy", m => m.Change(Pick(m, Legacy)), path => PyTorchFile.Read(path));

    /// <summary>The pickle alone is damaged; the archive around it is whole, with the right checksums.</summary>
    [Fact]
    public void PyTorch_pickles()
        => Fuzz("pickle", m => Zip(
            [.. Members(Pick(m, Checkpoints)).Select(
            p => p.Name.EndsWith("data.pkl", StringComparison.Ordinal) ? (p.Name, m.Change(p.Content)) : p)]), path => PyTorchFile.Read(path));

    /// <summary>Random sequences of opcodes with small operands.</summary>
    [Fact]
    public void PyTorch_opcodes()
        => Fuzz("opcodes", m => PickleBuilder.Checkpoint(Opcodes(m.Random), ("0", new byte[96])), path => PyTorchFile.Read(path));

    [Fact]
    public void Safetensors_files() => Fuzz("safetensors", m => m.Change(Safetensors(m, isHeaderChanged: false)), path => SafetensorsFile.Read(path));

    /// <summary>The header alone is damaged; its length is right.</summary>
    [Fact]
    public void Safetensors_headers() => Fuzz("safetensors-header", m => Safetensors(m, isHeaderChanged: true), path => SafetensorsFile.Read(path));

    [Fact]
    public void Safetensors_indices() => Fuzz(
        "index.json",
        m => m.Change("""{"metadata":{"total_size":52},"weight_map":{"a":"m.safetensors","b":"m.safetensors","c":"m.safetensors"}}"""u8.ToArray()),
        path =>
        {
            File.WriteAllBytes(Path.Combine(Path.GetDirectoryName(path)!, "m.safetensors"), Safetensors(new Mutator(0), isHeaderChanged: false));
            SafetensorsFile.Read(path);
        });

    [Fact]
    public void Npy_files() => Fuzz("npy", m => m.Change(Npy(m)), path => NpyFile.Read(path));

    [Fact]
    public void Npz_files() => Fuzz("npz", m => m.Change(Pick(m, Archives)), path => NpzFile.Read(path));

    /// <summary>An array alone is damaged; the archive around it is whole.</summary>
    [Fact]
    public void Npz_members() => Fuzz("npz-members", m => Zip(("a.npy", m.Change(Npy(m))), ("b.npy", Npy(m))), path => NpzFile.Read(path));

    private static void Fuzz(string format, Func<Mutator, byte[]> make, Action<string> read)
    {
        var count = Setting("NEXTPATCH_FUZZ", DefaultCount);
        var first = Setting("NEXTPATCH_FUZZ_SEED", 1);
        using var folder = new TemporaryFolder();
        var path = folder["fuzzed." + format];
        var accepted = 0;
        for (var seed = first; seed < first + count; seed++)
        {
            File.WriteAllBytes(path, make(new Mutator(seed)));
            // again: another process may have had the processor
            var problem = Problem(path, read, ref accepted) is not null ? Problem(path, read, ref accepted) : null;
            Assert.True(problem is null, $"{format} file of seed {seed}: {problem}");
        }

        // Not every file may be refused at the door: then nothing behind it was tried.
        Assert.True(count < 100 || accepted > 0, $"all {count} {format} files were refused");
        TestContext.Current.SendDiagnosticMessage("{0}: {1} files, {2} of them read", format, count, accepted);
    }

    private static string? Problem(string path, Action<string> read, ref int accepted)
    {
        var (start, before) = (Stopwatch.GetTimestamp(), GC.GetAllocatedBytesForCurrentThread());
        try
        {
            read(path);
            accepted++;
        }
        catch (NextPatchException)
        {
        }
        catch (Exception e)
        {
            return e.ToString();
        }

        var (time, bytes) = (Stopwatch.GetElapsedTime(start), GC.GetAllocatedBytesForCurrentThread() - before);
        return time > MaxTime ? $"took {time}" : bytes > MaxBytes ? $"allocated {bytes} bytes" : null;
    }

    private static int Setting(string variable, int otherwise)
        => int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out var value) ? value : otherwise;

    private static byte[] Pick(Mutator mutator, byte[][] files) => files[mutator.Random.Next(files.Length)];

    private static IEnumerable<byte[]> Fixtures(params string[] names) => names.Select(name => File.ReadAllBytes(Stored.Fixture(name)));

    private static List<(string Name, byte[] Content)> Members(byte[] file)
    {
        using var zip = new ZipArchive(new MemoryStream(file));
        return [.. zip.Entries.Select(entry =>
        {
            using var stream = entry.Open();
            using var content = new MemoryStream();
            stream.CopyTo(content);
            return (entry.FullName, content.ToArray());
        })];
    }

    private static byte[] Zip(params (string Name, byte[] Content)[] members)
    {
        using var stream = new MemoryStream();
        var zip = new StoredZipWriter(stream);
        foreach (var (name, content) in members)
        {
            zip.Add(name, content);
        }

        zip.Finish();
        return stream.ToArray();
    }

    private static byte[] Float8()
    {
        using var stream = new MemoryStream();
        TorchZipWriter.Write(
            stream, "archive", new Dictionary<object, object?>
            {
                ["a"] = new HostTensor(ElementType.Float8E4M3, [2], new byte[2]), ["b"] = new List<object?> { 1L, 2.5, null, true },
            });
        return stream.ToArray();
    }

    private static byte[] Opcodes(Random random)
    {
        var opcodes = Enum.GetValues<PickleOpcode>();
        List<byte> pickle = [0x80, (byte)random.Next(2, 6)];
        for (var i = random.Next(1, 200); i > 0; i--)
        {
            // Values are more likely than what consumes them.
            var opcode = random.Next(3) == 0 ? opcodes[random.Next(opcodes.Length)] : (PickleOpcode)(byte)"NK(]})\x88\x89"[random.Next(8)];
            pickle.Add((byte)opcode);
            pickle.AddRange(opcode switch
            {
                PickleOpcode.Global => "collections\nOrderedDict\n"u8,
                PickleOpcode.BinUnicode => [2, 0, 0, 0, (byte)'a', (byte)'b'],
                PickleOpcode.Frame => new byte[8],
                PickleOpcode.LongBinPut or PickleOpcode.LongBinGet or PickleOpcode.BinInt => [(byte)random.Next(4), 0, 0, 0],
                PickleOpcode.BinFloat => new byte[8],
                PickleOpcode.BinInt2 => [1, 1],
                PickleOpcode.BinInt1 or PickleOpcode.BinPut or PickleOpcode.BinGet or PickleOpcode.Proto => [(byte)random.Next(2, 6)],
                _ => [],
            });
        }

        return [.. pickle, (byte)'.'];
    }

    private static byte[] Safetensors(Mutator mutator, bool isHeaderChanged)
    {
        var json = """{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":"""
            + """{"dtype":"BF16","shape":[],"data_offsets":[24,26]},"c":{"dtype":"U8","shape":[0,4],"data_offsets":[26,26]}}""";
        if (isHeaderChanged)
        {
            json = mutator.Random.Next(2) == 0
                ? mutator.ChangeNumbers(json)
                : Encoding.Latin1.GetString(mutator.Change(Encoding.Latin1.GetBytes(json)));
        }

        var header = Encoding.Latin1.GetBytes(json);
        return [.. BitConverter.GetBytes((long)header.Length), .. header, .. new byte[26]];
    }

    private static byte[] Npy(Mutator mutator)
    {
        var types = (string[])["<f4", ">f8", "|u1", "<i8", ">c8", "|b1", "<f2"];
        var type = types[mutator.Random.Next(types.Length)];
        var header = $"{{'descr': '{type}', 'fortran_order': {(mutator.Random.Next(2) == 0 ? "True" : "False")}, 'shape': (2, 3), }}";
        return NpyFileTests.Npy(mutator.Random.Next(3) == 0 ? mutator.ChangeNumbers(header) : header, new byte[6 * (type[2] - '0')]);
    }
}
