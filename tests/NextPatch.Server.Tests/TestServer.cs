using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using NextPatch.Sampling;

namespace NextPatch.Server.Tests;

/// <summary>A server of the model that ships, on a free port, with a client of it.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    /// <summary>Longer than anything takes that does not wait for a test, on a busy machine.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private TestServer(ImageServer server, Uri address, ConcurrentQueue<string> logs)
    {
        (Server, Address, Logs) = (server, address, logs);
        Client = new HttpClient { BaseAddress = address };
    }

    public ImageServer Server { get; }

    public Uri Address { get; }

    public HttpClient Client { get; }

    public ConcurrentQueue<string> Logs { get; }

    /// <summary>Of its steps those that are left may be taken when the server is disposed, so that a test that fails ends.</summary>
    private SlowBackend? Backend { get; init; }

    public static Task<TestServer> StartAsync(ImageServerOptions? options = null, SlowBackend? backend = null, string name = "quickstart")
        => StartAsync(BuiltInModel.Load(backend), options, backend, name);

    public static async Task<TestServer> StartAsync(
        SampleModel model, ImageServerOptions? options = null, SlowBackend? backend = null, string name = "quickstart")
    {
        var logs = new ConcurrentQueue<string>();
        var server = ImageServer.Create(
            [(name, model)], (options ?? new ImageServerOptions()) with { Urls = ["http://127.0.0.1:0"] },
            builder => builder.AddProvider(new ListLogs(logs)));
        await server.StartAsync(CancellationToken.None);
        var started = new TestServer(server, new Uri(server.Urls.First()), logs) { Backend = backend };
        while ((await started.Client.GetAsync("/readyz")).StatusCode != HttpStatusCode.OK)
        {
            await Task.Delay(10);
        }

        return started;
    }

    public Task<HttpResponseMessage> PostAsync(object body, CancellationToken cancellation = default)
        => Client.PostAsJsonAsync("/v1/images/generations", body, cancellation);

    public Task<HttpResponseMessage> PostTextAsync(string body, string type = "application/json")
        => Client.PostAsync("/v1/images/generations", new StringContent(body, Encoding.UTF8, type));

    /// <summary>The images of an answer that must be good.</summary>
    public async Task<List<byte[]>> DrawAsync(object body)
    {
        using var response = await PostAsync(body);
        var json = await JsonAsync(response);
        Assert.True(response.IsSuccessStatusCode, json.ToString());
        return [.. json.GetProperty("data").EnumerateArray().Select(image => image.GetProperty("b64_json").GetBytesFromBase64())];
    }

    public static async Task<JsonElement> JsonAsync(HttpResponseMessage response)
        => JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync()).RootElement;

    /// <summary>An error with its four keys.</summary>
    public static async Task<JsonElement> ErrorAsync(HttpResponseMessage response, HttpStatusCode status)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == status, $"{(int)response.StatusCode}: {text}");
        var error = JsonDocument.Parse(text).RootElement.GetProperty("error");
        Assert.Equal(["message", "type", "param", "code"], error.EnumerateObject().Select(p => p.Name));
        Assert.StartsWith("req_", response.Headers.GetValues("x-request-id").Single(), StringComparison.Ordinal);
        return error;
    }

    public static async Task<List<(string Name, JsonElement Data)>> EventsAsync(HttpResponseMessage response)
    {
        var blocks = (await response.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        return [.. blocks.Select(block => block.Split('\n')).Select(
            lines => (lines[0]["event: ".Length..], JsonDocument.Parse(lines[1]["data: ".Length..]).RootElement))];
    }

    /// <summary>Waits until so many images wait for their turn, or another gauge has a value.</summary>
    public async Task WaitAsync(int value, string gauge = "nextpatch_queue_images")
    {
        for (var began = Stopwatch.GetTimestamp(); await GaugeAsync(gauge) != value; await Task.Delay(10))
        {
            Assert.True(Stopwatch.GetElapsedTime(began) < Patience, $"{gauge} is {await GaugeAsync(gauge)} and does not become {value}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        Backend?.Steps.Release(1_000_000);
        await Server.StopAsync();
        await Server.DisposeAsync();
    }

    private async Task<double> GaugeAsync(string name)
    {
        var lines = (await Client.GetStringAsync("/metrics")).Split('\n');
        var line = lines.LastOrDefault(line => line.StartsWith(name + "{", StringComparison.Ordinal));
        return line is null ? double.NaN : double.Parse(line[(line.IndexOf('}', StringComparison.Ordinal) + 1)..].Trim().Split(' ')[0]);
    }

    private sealed class ListLogs(ConcurrentQueue<string> logs) : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel level, EventId id, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
            => logs.Enqueue($"{formatter(state, exception)} {exception}");

        public void Dispose()
        {
        }
    }
}
