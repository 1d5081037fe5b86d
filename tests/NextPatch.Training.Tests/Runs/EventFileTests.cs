using System.Buffers.Binary;
using System.Text;
using NextPatch.Core.Imaging;
using NextPatch.Training.Gpt;
using NextPatch.Training.Runs;
using NextPatch.Training.Tests.Gpt;

namespace NextPatch.Training.Tests.Runs;

public sealed class EventFileTests
{
    [Fact]
    public void Records_have_the_published_checksums_and_a_real_time()
    {
        using var folder = new TemporaryFolder();
        using (var file = new EventFile(folder.Path, startStep: 0))
        {
            file.AddScalars(7, [("train/loss", 1.5)]);
        }

        var records = Read(folder.Path);
        Assert.Equal(["", "train/loss"], records.Select(r => r.Tag));
        Assert.Equal(7, records[1].Step);
        Assert.All(records, r => Assert.Equal(DateTime.UtcNow, DateTime.UnixEpoch.AddSeconds(r.Time), TimeSpan.FromMinutes(5)));
        Assert.Equal(0xe3069283u, Unmasked(Masked("123456789"u8))); // CRC-32C's check value
    }

    [Fact]
    public void A_resumed_session_leaves_every_value_once_and_keeps_the_hyperparameters()
    {
        using var folder = new TemporaryFolder();
        foreach (var (start, end) in (ReadOnlySpan<(int, int)>)[(0, 30), (20, 40), (10, 25)])
        {
            using var file = new EventFile(folder.Path, start);
            file.AddParameters([new("width", 16), new("grouping", "mean")]);
            for (var step = start + 1; step <= end; step++)
            {
                file.AddScalars(step, [("train/loss", step)]);
            }
        }

        var steps = Read(folder.Path).Where(r => r.Tag == "train/loss").Select(r => (int)r.Step);
        Assert.Equal(Enumerable.Range(1, 25), steps);
        Assert.Single(Read(folder.Path), r => r.Tag == "_hparams_/session_start_info");
    }

    [Fact]
    public void A_run_that_is_finished_twice_has_one_result_and_pictures_are_there()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var png = PngWriter.Encode(new RgbImage(4, 2));
        var options = new GptRunOptions { Output = folder["run"], Resume = true, SampleEvery = 6, DrawGrid = (_, _) => png };
        TinyRun.Train(codes, options);
        TinyRun.Train(codes, options);

        var records = Read(folder["run/tensorboard"]);
        Assert.Equal([6L, 12], records.Where(r => r.Tag == "samples").Select(r => r.Step));
        Assert.Single(records, r => r.Tag == "result/held_out_loss");
        Assert.Single(records, r => r.Tag == "_hparams_/session_end_info");
        Assert.Equal(records.Count(r => r.Tag.Length > 0), records.Where(r => r.Tag.Length > 0).Select(r => (r.Step, r.Tag)).Distinct().Count());
    }

    [Fact]
    public void Torn_records_go_and_names_grow()
    {
        using var folder = new TemporaryFolder();
        using (var file = new EventFile(folder.Path, 0))
        {
            file.AddScalars(1, [("a", 1)]);
        }

        var first = Assert.Single(Directory.GetFiles(folder.Path));
        File.AppendAllBytes(first, [9, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        var ticks = Path.Combine(folder.Path, "events.out.tfevents.639316239228520236.vm.3172.1"); // as an earlier version called them
        File.Move(first, ticks);
        using (var file = new EventFile(folder.Path, 1))
        {
            file.AddScalars(2, [("a", 2)]);
        }

        Assert.Equal([1L, 2], Read(folder.Path).Where(r => r.Tag == "a").Select(r => r.Step));
        Assert.Equal(ticks, Directory.GetFiles(folder.Path).Order(StringComparer.Ordinal).First());
    }

    private static List<(double Time, long Step, string Tag)> Read(string folder)
    {
        var records = new List<(double, long, string)>();
        foreach (var file in Directory.GetFiles(folder).Order(StringComparer.Ordinal))
        {
            var bytes = File.ReadAllBytes(file).AsSpan();
            while (bytes.Length > 0)
            {
                var length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes);
                Assert.Equal(Masked(bytes[..8]), BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]));
                var record = bytes.Slice(12, length);
                Assert.Equal(Masked(record), BinaryPrimitives.ReadUInt32LittleEndian(bytes[(12 + length)..]));
                records.Add(Parse(record));
                bytes = bytes[(16 + length)..];
            }
        }

        return records;
    }

    private static (double Time, long Step, string Tag) Parse(ReadOnlySpan<byte> record)
    {
        var (time, step, tag) = (0.0, 0L, "");
        while (record.Length > 0)
        {
            var key = Varint(ref record);
            switch (key & 7)
            {
                case 0: step = key >> 3 == 2 ? (long)Varint(ref record) : step + (0 * (long)Varint(ref record)); break;
                case 1:
                    time = BinaryPrimitives.ReadDoubleLittleEndian(record);
                    record = record[8..];
                    break;
                default:
                    var length = (int)Varint(ref record);
                    tag = key >> 3 == 5 ? TagOf(record[..length]) : tag;
                    record = record[length..];
                    break;
            }
        }

        return (time, step, tag);
    }

    /// <summary>Summary { Value { tag … } }: tags come first.</summary>
    private static string TagOf(ReadOnlySpan<byte> summary)
    {
        Assert.Equal(10ul, Varint(ref summary));
        Varint(ref summary);
        Assert.Equal(10ul, Varint(ref summary));
        var length = (int)Varint(ref summary);
        return Encoding.UTF8.GetString(summary[..length]);
    }

    private static ulong Varint(ref ReadOnlySpan<byte> bytes)
    {
        ulong value = 0;
        for (var i = 0; ; i++)
        {
            value |= (ulong)(bytes[i] & 0x7f) << (7 * i);
            if (bytes[i] < 0x80)
            {
                bytes = bytes[(i + 1)..];
                return value;
            }
        }
    }

    /// <summary>Bit by bit, the polynomial of Castagnoli.</summary>
    private static uint Masked(ReadOnlySpan<byte> data)
    {
        var crc = uint.MaxValue;
        foreach (var value in data)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
            }
        }

        crc = ~crc;
        return unchecked(((crc >> 15) | (crc << 17)) + 0xa282ead8u);
    }

    private static uint Unmasked(uint masked)
    {
        var rotated = unchecked(masked - 0xa282ead8u);
        return (rotated >> 17) | (rotated << 15);
    }
}
