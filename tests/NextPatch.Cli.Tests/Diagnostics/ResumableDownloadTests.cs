using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using NextPatch.Cli.Diagnostics;
using NextPatch.Core;

namespace NextPatch.Cli.Tests.Diagnostics;

/// <summary>Against a server in this process, which answers each request as the test says.</summary>
public sealed class ResumableDownloadTests : IDisposable
{
    private static readonly byte[] File1 = [.. Enumerable.Range(0, 700_001).Select(i => (byte)((i * 31) ^ (i >> 8)))];

    private readonly TemporaryFolder _folder = new();
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly List<string> _ranges = [];

    public ResumableDownloadTests() => _listener.Start();

    private string Address => $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/weights.pth";

    public void Dispose()
    {
        _listener.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_broken_download_continues_where_it_ended()
    {
        var server = ServeAsync(
            range => ("200 OK", "", File1[..300_000], File1.Length),
            range => ("206 Partial Content", "Content-Range: bytes 300000-700000/700001\r\n", File1[300_000..500_000], File1.Length - 300_000),
            range => ("206 Partial Content", "Content-Range: bytes 500000-700000/700001\r\n", File1[500_000..], File1.Length - 500_000));
        Assert.True(await Download().RunAsync(Address, _folder["in/weights.pth"], default));
        await server;
        Assert.Equal(File1, File.ReadAllBytes(_folder["in/weights.pth"]));
        Assert.Equal(["", "bytes=300000-", "bytes=500000-"], _ranges);
        Assert.Equal(["weights.pth"], Directory.GetFiles(_folder["in"]).Select(Path.GetFileName));

        Assert.False(await Download().RunAsync(Address, _folder["in/weights.pth"], default)); // asks nobody
    }

    [Fact]
    public async Task What_a_killed_process_left_is_used_by_the_next()
    {
        File.WriteAllBytes(_folder["weights.pth.partial"], File1[..123]);
        var server = ServeAsync(range => ("206 Partial Content", "Content-Range: bytes 123-700000/700001\r\n", File1[123..], File1.Length - 123));
        Assert.True(await Download().RunAsync(Address, _folder["weights.pth"], default));
        await server;
        Assert.Equal(["bytes=123-"], _ranges);
        Assert.Equal(File1, File.ReadAllBytes(_folder["weights.pth"]));
    }

    [Fact]
    public async Task A_server_without_ranges_begins_anew()
    {
        File.WriteAllBytes(_folder["weights.pth.partial"], new byte[999]);
        var server = ServeAsync(range => ("200 OK", "", File1, File1.Length));
        Assert.True(await Download().RunAsync(Address, _folder["weights.pth"], default));
        await server;
        Assert.Equal(File1, File.ReadAllBytes(_folder["weights.pth"]));
    }

    [Fact]
    public async Task Another_file_is_refused_and_leaves_nothing()
    {
        var other = File1.ToArray();
        other[5]++;
        var server = ServeAsync(range => ("200 OK", "", other, other.Length));
        var e = await Assert.ThrowsAsync<NextPatchException>(() => Download().RunAsync(Address, _folder["weights.pth"], default));
        await server;
        Assert.Contains("SHA-256", e.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_folder.Path));

        server = ServeAsync(range => ("200 OK", "", [.. File1, .. File1], File1.Length * 2));
        e = await Assert.ThrowsAsync<NextPatchException>(() => Download().RunAsync(Address, _folder["weights.pth"], default));
        await server;
        Assert.Contains("more than the 700,001 bytes", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_file_is_asked_for_once_and_a_silent_server_four_times()
    {
        var server = ServeAsync(range => ("404 Not Found", "", [], 0));
        var e = await Assert.ThrowsAsync<NextPatchException>(() => Download().RunAsync(Address, _folder["weights.pth"], default));
        await server;
        Assert.Contains("404", e.Message, StringComparison.Ordinal);
        Assert.Single(_ranges);

        _listener.Stop();
        e = await Assert.ThrowsAsync<NextPatchException>(() => Download().RunAsync("http://127.0.0.1:9/x", _folder["weights.pth"], default));
        Assert.Contains("--from", e.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ConfigException>(() => Download().RunAsync("file:///etc/passwd", _folder["weights.pth"], default));
    }

    private static ResumableDownload Download()
        => new(Convert.ToHexStringLower(SHA256.HashData(File1)), File1.Length) { Pause = TimeSpan.FromMilliseconds(5) };

    private async Task ServeAsync(params Func<string, (string Status, string Headers, byte[] Body, int Length)>[] answers)
    {
        foreach (var answer in answers)
        {
            using var client = await _listener.AcceptTcpClientAsync();
            await using var stream = client.GetStream();
            using var reader = new StreamReader(stream, leaveOpen: true);
            var range = "";
            while (await reader.ReadLineAsync() is { Length: > 0 } line)
            {
                range = line.StartsWith("Range: ", StringComparison.Ordinal) ? line[7..] : range;
            }

            _ranges.Add(range);
            var (status, headers, body, length) = answer(range);
            try
            {
                var head = $"HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n";
                await stream.WriteAsync(Encoding.ASCII.GetBytes(head));
                await stream.WriteAsync(body);
            }
            catch (IOException)
            {
                // The client had read enough.
            }
        }
    }
}
