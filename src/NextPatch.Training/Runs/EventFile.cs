using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;
using NextPatch.Core.Files;

namespace NextPatch.Training.Runs;

/// <summary>
/// The TensorBoard events of a run, a file per session: records of length, masked CRC-32C, an <c>Event</c> message, its masked CRC-32C. A new
/// session cuts off what earlier ones wrote beyond the step it starts from, so that every value stands once.
/// </summary>
/// <remarks>Fields by number as in tensorflow/core/util/event.proto, framework/summary.proto and TensorBoard's plugin_data.proto of
/// hparams.</remarks>
internal sealed class EventFile : IDisposable
{
    private const string Prefix = "events.out.tfevents.";
    private const string ParametersTag = "_hparams_/session_start_info";
    private const string EndTag = "_hparams_/session_end_info";
    private const string ResultPrefix = "result/";
    private const int SessionStart = 1;
    private const int StatusSuccess = 1;

    private readonly FileStream _file;
    private readonly bool _hasParameters;

    /// <param name="folder">Made if need be.</param>
    /// <param name="startStep">Steps done when the session starts.</param>
    public EventFile(string folder, long startStep)
    {
        Directory.CreateDirectory(folder);
        var stamp = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        foreach (var old in Directory.GetFiles(folder, Prefix + "*"))
        {
            _hasParameters |= EventTrim.CutAfter(old, startStep, ResultPrefix, EndTag, ParametersTag);

            // TensorBoard reads files in the order of their names and never goes back; earlier versions wrote ticks for seconds.
            var name = Path.GetFileName(old)[Prefix.Length..].Split('.')[0];
            stamp = long.TryParse(name, CultureInfo.InvariantCulture, out var number) ? Math.Max(stamp, number + 1) : stamp;
        }

        var path = Path.Combine(
            folder, string.Create(CultureInfo.InvariantCulture, $"{Prefix}{stamp:D10}.{Environment.MachineName}.{Environment.ProcessId}.0"));
        _file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        TryWrite(Event(0).Text(3, "brain.Event:2"));
        if (startStep > 0)
        {
            TryWrite(Event(startStep + 1).Message(7, new ProtoWriter().Int(1, SessionStart))); // readers drop what they know from here on
        }
    }

    /// <summary>Adds numbers.</summary>
    /// <param name="step">Steps done.</param>
    /// <param name="values">By tag: "train/loss".</param>
    public void AddScalars(long step, IEnumerable<(string Tag, double Value)> values)
    {
        foreach (var (tag, value) in values)
        {
            TryWrite(Event(step).Message(5, Value(new ProtoWriter().Text(1, tag).Float(2, (float)value))));
        }
    }

    /// <summary>Adds a picture.</summary>
    /// <param name="step">Steps done.</param>
    /// <param name="tag">"samples".</param>
    /// <param name="png">A PNG file of 8-bit RGB.</param>
    public void AddImage(long step, string tag, ReadOnlySpan<byte> png)
    {
        var (width, height) = (BinaryPrimitives.ReadInt32BigEndian(png[16..]), BinaryPrimitives.ReadInt32BigEndian(png[20..])); // of IHDR
        var image = new ProtoWriter().Int(1, height).Int(2, width).Int(3, 3).Data(4, png);
        TryWrite(Event(step).Message(5, Value(new ProtoWriter().Text(1, tag).Message(4, image))));
    }

    /// <summary>Adds the hyperparameters, once in the life of a run: numbers or texts by name.</summary>
    public void AddParameters(IEnumerable<KeyValuePair<string, object>> parameters)
    {
        if (_hasParameters)
        {
            return;
        }

        var info = new ProtoWriter();
        foreach (var (name, value) in parameters)
        {
            var given = value is string text ? new ProtoWriter().Text(3, text)
                : value is bool flag ? new ProtoWriter().Int(4, flag ? 1 : 0)
                : new ProtoWriter().Double(2, Convert.ToDouble(value, CultureInfo.InvariantCulture));
            info.Message(1, new ProtoWriter().Text(1, name).Message(2, given));
        }

        TryWrite(Event(0).Message(5, Value(Plugin(ParametersTag, 3, info.Double(5, Now())))));
    }

    /// <summary>Adds what a finished run gave: <c>result/held_out_loss</c>, and that it ended well.</summary>
    public void AddResult(long step, IEnumerable<(string Name, double Value)> figures)
    {
        AddScalars(step, figures.Select(f => (ResultPrefix + f.Name, f.Value)));
        TryWrite(Event(step).Message(5, Value(Plugin(EndTag, 4, new ProtoWriter().Int(1, StatusSuccess).Double(2, Now())))));
    }

    public void Dispose() => _file.Dispose();

    private static double Now() => (DateTime.UtcNow - DateTime.UnixEpoch).TotalSeconds;

    private static ProtoWriter Event(long step) => new ProtoWriter().Double(1, Now()).Int(2, step);

    private static ProtoWriter Value(ProtoWriter value) => new ProtoWriter().Message(1, value);

    /// <summary>A value of the hparams plugin, which reads the bytes beside the plugin's name.</summary>
    private static ProtoWriter Plugin(string tag, int field, ProtoWriter content)
    {
        var data = new ProtoWriter().Text(1, "hparams").Message(2, new ProtoWriter().Int(1, 0).Message(field, content));
        return new ProtoWriter().Text(1, tag).Message(9, new ProtoWriter().Message(1, data));
    }

    /// <summary>Writes a record; what a full disk refuses is left out whole, because readers stop at a torn record.</summary>
    private void TryWrite(ProtoWriter message)
    {
        var data = message.Written;
        var record = new byte[sizeof(ulong) + sizeof(uint) + data.Length + sizeof(uint)];
        BinaryPrimitives.WriteUInt64LittleEndian(record, (ulong)data.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), MaskedCrc(record.AsSpan(0, 8)));
        data.CopyTo(record.AsSpan(12));
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(12 + data.Length), MaskedCrc(data));
        var whole = _file.Position;
        try
        {
            _file.Write(record);
        }
        catch (Exception e) when (DiskTrouble.Is(e))
        {
            _file.SetLength(whole);
            _file.Position = whole;
        }
    }

    /// <summary>CRC-32C, rotated and offset as the record format asks.</summary>
    private static uint MaskedCrc(ReadOnlySpan<byte> data)
    {
        var crc = uint.MaxValue;
        var words = MemoryMarshal.Cast<byte, ulong>(data);
        foreach (var word in words)
        {
            crc = BitOperations.Crc32C(crc, BitConverter.IsLittleEndian ? word : BinaryPrimitives.ReverseEndianness(word));
        }

        foreach (var value in data[(words.Length * sizeof(ulong))..])
        {
            crc = BitOperations.Crc32C(crc, value);
        }

        crc = ~crc;
        return unchecked(BitOperations.RotateRight(crc, 15) + 0xa282ead8u);
    }
}
