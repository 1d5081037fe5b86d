using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;

namespace NextPatch.Benchmarks.Serving;

/// <summary>A number of clients for a time.</summary>
/// <param name="Address">The server's.</param>
/// <param name="Prompt">What they ask for.</param>
/// <param name="Pid">Its process; null: memory is not watched.</param>
internal sealed record ServeLoad(Uri Address, string Prompt, int? Pid)
{
    public const string Heading =
        "clients | images/s | p50 ms | p99 ms | drawn | 429 | 429 p99 ms | failed | RssAnon MiB after a fifth, after half, at the end, most";

    /// <returns>A row under <see cref="Heading"/>.</returns>
    public async Task<string> RunAsync(int clients, TimeSpan time, CancellationToken cancellation)
    {
        using var http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = clients })
        {
            BaseAddress = Address, Timeout = Timeout.InfiniteTimeSpan, // the server has one
        };
        var answers = new ConcurrentBag<(int Status, double Milliseconds)>();
        var memory = new List<(double Seconds, double Mebibytes)>();
        var clock = Stopwatch.StartNew();
        var work = Enumerable.Range(0, clients).Select(client => Task.Run(
            async () =>
            {
                for (var i = 0; clock.Elapsed < time; i++)
                {
                    var began = Stopwatch.GetTimestamp();
                    var status = await AskAsync(http, (client * 100_000) + i, cancellation);
                    answers.Add((status, Stopwatch.GetElapsedTime(began).TotalMilliseconds));
                    if (status == (int)HttpStatusCode.TooManyRequests)
                    {
                        await Task.Delay(100, cancellation);
                    }
                }
            },
            cancellation)).ToList();
        while (clock.Elapsed < time)
        {
            memory.Add((clock.Elapsed.TotalSeconds, Pid is null ? 0 : RssAnon(Pid.Value)));
            await Task.Delay(500, cancellation);
        }

        await Task.WhenAll(work);
        var (drawn, late) = (Of(200), Of(429));
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{clients} | {drawn.Length / clock.Elapsed.TotalSeconds:0.00} | {At(drawn, 0.5):0} | {At(drawn, 0.99):0} | {drawn.Length} | "
                + $"{late.Length} | ")
            + string.Create(
                CultureInfo.InvariantCulture,
                $"{At(late, 0.99):0} | {answers.Count - drawn.Length - late.Length} | {MemoryAt(0.2):0}, {MemoryAt(0.5):0}, "
                    + $"{memory[^1].Mebibytes:0}, {memory.Max(m => m.Mebibytes):0}");

        double[] Of(int status) => [.. answers.Where(a => a.Status == status).Select(a => a.Milliseconds).Order()];
        double MemoryAt(double share) => memory.First(m => m.Seconds >= time.TotalSeconds * share || m == memory[^1]).Mebibytes;
        static double At(double[] sorted, double share) => sorted.Length == 0 ? double.NaN : sorted[(int)((sorted.Length - 1) * share)];
    }

    /// <returns>The status; 0: no answer.</returns>
    private async Task<int> AskAsync(HttpClient http, int seed, CancellationToken cancellation)
    {
        try
        {
            using var response = await http.PostAsJsonAsync("/v1/images/generations", new { prompt = Prompt, seed }, cancellation);
            await response.Content.CopyToAsync(Stream.Null, cancellation);
            return (int)response.StatusCode;
        }
        catch (HttpRequestException)
        {
            return 0;
        }
    }

    private static double RssAnon(int pid)
    {
        var line = File.ReadLines($"/proc/{pid}/status").FirstOrDefault(line => line.StartsWith("RssAnon:", StringComparison.Ordinal));
        return line is null ? 0 : double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024;
    }
}
