using System.Security.Cryptography;

namespace NextPatch.Server.Api;

/// <summary>Images behind random names, for an hour and in bounded memory: the oldest go first.</summary>
internal sealed class ImageStore
{
    private const long MostBytes = 64 << 20;
    private static readonly TimeSpan Life = TimeSpan.FromHours(1);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, byte[]> _files = [];
    private readonly Queue<(string Name, DateTime Until)> _order = [];
    private long _bytes;

    /// <returns>Its name, which nobody guesses.</returns>
    public string Add(byte[] file, string extension)
    {
        var name = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16)) + extension;
        lock (_gate)
        {
            _files[name] = file;
            _order.Enqueue((name, DateTime.UtcNow + Life));
            _bytes += file.Length;
            DropOld();
        }

        return name;
    }

    /// <returns>Null: there is none, or none any more.</returns>
    public byte[]? Find(string name)
    {
        lock (_gate)
        {
            DropOld();
            return _files.GetValueOrDefault(name);
        }
    }

    private void DropOld()
    {
        while (_order.TryPeek(out var oldest) && (oldest.Until < DateTime.UtcNow || (_bytes > MostBytes && _order.Count > 1)))
        {
            _order.Dequeue();
            _files.Remove(oldest.Name, out var file);
            _bytes -= file!.Length;
        }
    }
}
