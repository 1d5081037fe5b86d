using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace NextPatch.Server.Tests.Api;

/// <summary>Clients that make mistakes, mean harm, leave, or do not read: the server answers, and goes on.</summary>
public sealed class FaultTests
{
    private static readonly string[] Names =
    [
        "prompt", "model", "n", "size", "quality", "style", "background", "response_format", "output_format", "output_compression", "stream",
        "partial_images", "user", "seed", "class_id", "cfg_scale", "cfg_shape", "temperature", "top_k", "top_p", "partial_rows", "nonsense", "",
    ];

    private static readonly string[] Values =
    [
        "\"heart\"", "\"url\"", "\"webp\"", "\"linear\"", "\"32x32\"", "true", "false", "null", "0", "1", "2", "3", "-1", "0.5", "1e9", "1e308",
        "1e999",
        "18446744073709551615", "\"\"", "\"\\u0000\"", "\"\\ud83d\"", "[]", "{}", "[1]", "\"quickstart\"", "NaN", "'x'",
    ];

    [Fact]
    public async Task Fuzzed_requests_are_answered_and_none_is_the_servers_fault()
    {
        await using var server = await TestServer.StartAsync(new ImageServerOptions { QueueLimit = 1000 });
        var seed = int.TryParse(Environment.GetEnvironmentVariable("NEXTPATCH_FUZZ_SEED"), out var given) ? given : 1;
        var count = int.TryParse(Environment.GetEnvironmentVariable("NEXTPATCH_FUZZ"), out var many) ? many : 400;
        var statuses = new Dictionary<int, int>();
        foreach (var part in Enumerable.Range(seed, count).Chunk(16))
        {
            foreach (var (number, response) in part.Zip(await Task.WhenAll(part.Select(i => SendAsync(server, new Random(i))))))
            {
                var status = (int)response.StatusCode;
                var text = await response.Content.ReadAsStringAsync();
                Assert.True(status is 200 or 400 or 404 or 405 or 413 or 415, $"seed {number}: {status} {text}");
                Assert.DoesNotContain("event: error", text, StringComparison.Ordinal);
                statuses[status] = statuses.GetValueOrDefault(status) + 1;
                response.Dispose();
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine(string.Join(", ", statuses.Select(s => $"{s.Key}: {s.Value}")));
        Assert.True(statuses.GetValueOrDefault(200) > 0);
        Assert.Single(await server.DrawAsync(new { prompt = "heart" }));
    }

    [Fact]
    public async Task Clients_that_vanish_or_do_not_read_leave_nothing_behind()
    {
        await using var server = await TestServer.StartAsync();
        var body = """{"prompt": "heart", "n": 10, "stream": true, "partial_rows": true}""";
        var head = $"POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
            + $"{body.Length}\r\n\r\n";
        var silent = new List<TcpClient>();
        for (var i = 0; i < 30; i++)
        {
            var client = new TcpClient();
            await client.ConnectAsync(server.Address.Host, server.Address.Port);
            client.ReceiveBufferSize = 1024;
            var text = (i % 3) switch { 0 => head + body, 1 => head + body[..20], _ => head[..40] };
            await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(text));
            if (i % 2 == 0)
            {
                client.Client.LingerState = new LingerOption(true, 0); // a reset
                client.Dispose();
            }
            else
            {
                silent.Add(client);
            }
        }

        Assert.Equal(2, (await server.DrawAsync(new { prompt = "heart", n = 2 })).Count);
        silent.ForEach(client => client.Dispose());
        await server.WaitAsync(0);
        await server.WaitAsync(0, "nextpatch_rows");
    }

    [Fact]
    public async Task Clients_that_vanish_under_load_change_nothing_for_those_that_stay()
    {
        await using var server = await TestServer.StartAsync(new ImageServerOptions { QueueLimit = 10_000 });
        var expected = new List<byte[]>();
        for (var seed = 0; seed < 5; seed++)
        {
            expected.AddRange(await server.DrawAsync(new { prompt = "heart", n = 2, seed }));
        }

        var vanishing = Enumerable.Range(0, 100).Select(async i =>
        {
            using var leave = new CancellationTokenSource(10 * (1 + (i % 40)));
            try
            {
                using var answer = await server.PostAsync(new { prompt = "star", n = 1 + (i % 10), stream = i % 2 == 0 }, leave.Token);
                await answer.Content.ReadAsByteArrayAsync(leave.Token);
                return false;
            }
            catch (OperationCanceledException)
            {
                return true;
            }
        }).ToList();
        var staying = Enumerable.Range(0, 20).Select(i => server.DrawAsync(new { prompt = "heart", n = 2, seed = i % 5 })).ToList();
        foreach (var (i, images) in (await Task.WhenAll(staying)).Index())
        {
            Assert.Equal(expected.Slice(2 * (i % 5), 2), images);
        }

        Assert.Contains(true, await Task.WhenAll(vanishing));
        await server.WaitAsync(0);
        await server.WaitAsync(0, "nextpatch_rows");
        Assert.DoesNotContain(server.Logs, line => line.Contains(" failed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_long_body_without_a_length_is_refused_in_one_line_of_the_log()
    {
        await using var server = await TestServer.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/images/generations")
        {
            Content = new StringContent(new string(' ', 1 << 20), Encoding.UTF8, "application/json"),
        };
        request.Headers.TransferEncodingChunked = true;
        await TestServer.ErrorAsync(await server.Client.SendAsync(request), HttpStatusCode.RequestEntityTooLarge);
        Assert.Single(await server.DrawAsync(new { prompt = "heart" }));
        Assert.DoesNotContain(server.Logs, line => line.Contains("Exception", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_stream_whose_time_is_up_ends_with_an_error_and_is_not_logged_as_drawn()
    {
        var backend = new SlowBackend(images: 1);
        backend.Steps.Release(8); // warming up
        await using var server = await TestServer.StartAsync(new ImageServerOptions { Timeout = TimeSpan.FromSeconds(0.5) }, backend);
        using var response = await server.PostAsync(new { prompt = "heart", stream = true });
        Assert.Equal("error", Assert.Single(await TestServer.EventsAsync(response)).Name);
        Assert.DoesNotContain(server.Logs, line => line.Contains(" drew ", StringComparison.Ordinal));
    }

    private static Task<HttpResponseMessage> SendAsync(TestServer server, Random random)
    {
        var json = new StringBuilder("{\"prompt\": \"heart\"");
        for (var i = random.Next(5); i > 0; i--)
        {
            json.Append($", {JsonSerializer.Serialize(Pick(Names))}: {Pick(Values)}");
        }

        json.Append('}');
        if (random.Next(4) == 0) // damaged bytes
        {
            for (var i = random.Next(1, 4); i > 0; i--)
            {
                json[random.Next(json.Length)] = (char)random.Next(1, 256);
            }
        }

        var text = random.Next(10) == 0 ? json.ToString()[..random.Next(json.Length)] : json.ToString();
        var path = random.Next(12) switch
        {
            0 => "/v1/images/edits",
            1 => "/v1/models",
            2 => $"/v1/{(char)random.Next(33, 127)}%{random.Next(10, 99)}",
            _ => "/v1/images/generations",
        };
        var content = new ByteArrayContent(Encoding.Latin1.GetBytes(text));
        content.Headers.TryAddWithoutValidation("Content-Type", random.Next(8) switch
        {
            0 => "text/plain",
            1 => "multipart/form-data; boundary=" + Pick(["x", "", "\"", "a b"]),
            2 => "",
            _ => "application/json",
        });
        return server.Client.PostAsync(path, content);

        T Pick<T>(T[] from) => from[random.Next(from.Length)];
    }
}
