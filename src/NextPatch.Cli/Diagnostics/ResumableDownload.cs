using System.Net;
using System.Net.Http.Headers;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Files;

namespace NextPatch.Cli.Diagnostics;

/// <summary>One file over HTTP, whose checksum is known: bytes that arrived before a break are kept and not asked for again.</summary>
/// <param name="hash">SHA-256 of the whole file, lower-case hexadecimal.</param>
/// <param name="length">Its bytes; a longer answer is refused before it fills the disk.</param>
internal sealed class ResumableDownload(string hash, long length)
{
    private const int Attempts = 4;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>Told bytes done and bytes in all.</summary>
    public Action<long, long>? OnProgress { get; init; }

    /// <summary>Between attempts; grows with each.</summary>
    public TimeSpan Pause { get; init; } = TimeSpan.FromSeconds(2);

    /// <returns>False if the file was there already.</returns>
    /// <exception cref="ConfigException">The address is none.</exception>
    /// <exception cref="NextPatchException">The server gave another file or none, or the disk is full.</exception>
    public async Task<bool> RunAsync(string address, string path, CancellationToken cancellation)
    {
        if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
        {
            throw new ConfigException($"'{address}' is no address; it must begin with http:// or https://.");
        }

        if (File.Exists(path))
        {
            return FileHash.Compute(path, cancellation) == hash
                ? false
                : throw new NextPatchException($"'{path}' exists and is another file; delete it or name another.");
        }

        var part = AtomicFile.PartialOf(path);
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            await FillAsync(uri, part, cancellation);
            if (FileHash.Compute(part, cancellation) is var found && found != hash)
            {
                File.Delete(part);
                throw new NextPatchException($"{address} gave a file with the SHA-256 {found}, not {hash}; it was deleted.");
            }

            File.Move(part, path);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NextPatchException($"'{path}' cannot be written: {e.Message}", e);
        }
    }

    private async Task FillAsync(Uri address, string part, CancellationToken cancellation)
    {
        using var client = new HttpClient { Timeout = Timeout.InfiniteTimeSpan };
        for (var attempt = 1; ; attempt++)
        {
            await using var file = new FileStream(part, FileMode.OpenOrCreate, FileAccess.Write, FileShare.None);
            file.Seek(0, SeekOrigin.End);
            if (file.Length >= length)
            {
                return; // whole, or too long: the checksum tells
            }

            try
            {
                await ReceiveAsync(client, address, file, cancellation);
                if (file.Length >= length)
                {
                    return;
                }

                throw new HttpRequestException($"the answer ended after {file.Length:N0} of {length:N0} bytes");
            }
            catch (Exception e) when (e is HttpRequestException or HttpIOException or TimeoutException)
            {
                var isRefused = e is HttpRequestException { StatusCode: >= HttpStatusCode.BadRequest and < HttpStatusCode.InternalServerError };
                if (isRefused || attempt == Attempts)
                {
                    throw new NextPatchException(
                        $"{address} could not be fetched: {e.Message}. {(file.Length > 0 ? "The same command continues where it ended." : "Check "
                            + "the address and the network, or give the address of a copy by --from.")}", e);
                }
            }

            await Task.Delay(Pause * attempt, cancellation);
        }
    }

    private async Task ReceiveAsync(HttpClient client, Uri address, FileStream file, CancellationToken cancellation)
    {
        // A server that says nothing for a minute is taken for lost.
        using var silence = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        silence.CancelAfter(Patience);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, address);
            request.Headers.Range = file.Length > 0 ? new RangeHeaderValue(file.Length, null) : null;
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, silence.Token);
            response.EnsureSuccessStatusCode();
            if (response.StatusCode != HttpStatusCode.PartialContent || response.Content.Headers.ContentRange?.From != file.Length)
            {
                file.SetLength(0); // the server begins anew
            }

            await using var body = await response.Content.ReadAsStreamAsync(silence.Token);
            var buffer = new byte[1 << 17];
            for (int read; (read = await body.ReadAsync(buffer, silence.Token)) > 0;)
            {
                silence.CancelAfter(Patience);
                if (file.Length + read > length)
                {
                    throw new NextPatchException($"{address} gives more than the {length:N0} bytes of the published file; it is another one.");
                }

                await file.WriteAsync(buffer.AsMemory(0, read), cancellation);
                OnProgress?.Invoke(file.Length, length);
            }
        }
        catch (OperationCanceledException e) when (!cancellation.IsCancellationRequested)
        {
            throw new TimeoutException($"the server said nothing for {Patience.TotalSeconds:F0} seconds", e);
        }
    }
}
