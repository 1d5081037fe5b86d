using System.Diagnostics;
using System.Net;

namespace NextPatch.Server.Tests.Batching;

/// <summary>Requests that share a model: who waits, who is next, who is turned away, and what is left behind.</summary>
public sealed class ModelWorkerTests
{
    private const int CodesPerImage = 64;

    [Fact]
    public async Task A_large_request_does_not_hold_small_ones_up()
    {
        var backend = new SlowBackend(images: 4);
        backend.Steps.Release(8); // warming up
        await using var server = await TestServer.StartAsync(backend: backend);
        backend.Seen.Clear();
        var large = server.PostAsync(new { prompt = "heart", n = 10, seed = 100 });
        await server.WaitAsync(6);
        var small = Enumerable.Range(0, 10).Select(i => server.PostAsync(new { prompt = "heart", seed = i })).ToList();
        await server.WaitAsync(16);
        backend.Steps.Release(1000 * CodesPerImage);
        await Task.WhenAll(small);
        await large;

        // Four of the large one had entered; then the small ones get what becomes free, until the large one has fewest.
        var rounds = backend.Seen.Where((_, i) => i % CodesPerImage == 0).ToList();
        Assert.Equal([100UL, 100, 100, 100], rounds[0]);
        Assert.Equal(1, rounds[1].Count(seed => seed == 100));
        Assert.Equal(1, rounds[2].Count(seed => seed == 100));
        Assert.All(rounds.Take(5), batch => Assert.Equal(4, batch.Length));
    }

    [Fact]
    public async Task A_full_queue_turns_away_at_once_and_says_when_to_come_back()
    {
        var backend = new SlowBackend(images: 1);
        backend.Steps.Release(8);
        await using var server = await TestServer.StartAsync(new ImageServerOptions { QueueLimit = 4 }, backend);
        var large = server.PostAsync(new { prompt = "heart", n = 4 });
        await server.WaitAsync(3);
        var last = server.PostAsync(new { prompt = "heart" });
        await server.WaitAsync(4);
        var began = Stopwatch.GetTimestamp();
        using var refused = await server.PostAsync(new { prompt = "heart" }).WaitAsync(TestServer.Patience); // accepted, it would wait for ever
        var milliseconds = Stopwatch.GetElapsedTime(began).TotalMilliseconds;

        var error = await TestServer.ErrorAsync(refused, HttpStatusCode.TooManyRequests);
        Assert.Equal("queue_full", error.GetProperty("code").GetString());
        Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
        TestContext.Current.TestOutputHelper?.WriteLine($"429 after {milliseconds:0.0} ms");
        backend.Steps.Release(1000 * CodesPerImage);
        Assert.True((await large).IsSuccessStatusCode);
        Assert.True((await last).IsSuccessStatusCode);
        Assert.Single(await server.DrawAsync(new { prompt = "heart" }));
    }

    [Fact]
    public async Task A_request_larger_than_the_queue_is_taken_where_nobody_waits()
    {
        await using var server = await TestServer.StartAsync(new ImageServerOptions { QueueLimit = 2 });
        Assert.Equal(5, (await server.DrawAsync(new { prompt = "heart", n = 5 })).Count);
    }

    [Fact]
    public async Task Rows_of_a_client_that_leaves_are_cancelled()
    {
        var backend = new SlowBackend(images: 2);
        backend.Steps.Release(8);
        await using var server = await TestServer.StartAsync(backend: backend);
        using var leave = new CancellationTokenSource();
        var left = server.PostAsync(new { prompt = "heart", n = 5, stream = true }, leave.Token);
        await server.WaitAsync(3);
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => left);
        while (!server.Logs.Any(line => line.Contains("was left", StringComparison.Ordinal)))
        {
            await Task.Delay(10);
        }

        backend.Steps.Release(1); // the code that was being drawn
        var next = server.DrawAsync(new { prompt = "heart", seed = 5 });
        backend.Steps.Release(CodesPerImage);
        Assert.Single(await next);
        await server.WaitAsync(0);
        await server.WaitAsync(0, "nextpatch_rows");
    }

    [Fact]
    public async Task A_request_whose_time_is_up_is_told_so_and_leaves()
    {
        var backend = new SlowBackend(images: 1);
        backend.Steps.Release(8);
        await using var server = await TestServer.StartAsync(new ImageServerOptions { Timeout = TimeSpan.FromMilliseconds(300) }, backend);
        using var late = await server.PostAsync(new { prompt = "heart" });
        var error = await TestServer.ErrorAsync(late, HttpStatusCode.GatewayTimeout);
        Assert.Equal("timeout", error.GetProperty("code").GetString());
        Assert.Equal("false", late.Headers.GetValues("x-should-retry").Single());

        using var stream = await server.PostAsync(new { prompt = "heart", stream = true });
        var (name, data) = Assert.Single(await TestServer.EventsAsync(stream));
        Assert.Equal(("error", "timeout"), (name, data.GetProperty("error").GetProperty("code").GetString()));
        backend.Steps.Release(1000 * CodesPerImage);
        Assert.Single(await server.DrawAsync(new { prompt = "heart" }));
    }

    [Fact]
    public async Task A_failing_engine_fails_its_requests_and_serves_the_next()
    {
        var backend = new SlowBackend(images: 2);
        backend.Steps.Release(8);
        await using var server = await TestServer.StartAsync(backend: backend);
        backend.Failure = new InvalidOperationException("secret detail");
        backend.Steps.Release(1000 * CodesPerImage);
        var error = await TestServer.ErrorAsync(await server.PostAsync(new { prompt = "heart", n = 4 }), HttpStatusCode.InternalServerError);

        Assert.DoesNotContain("secret", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Contains(server.Logs, line => line.Contains("secret detail", StringComparison.Ordinal));
        Assert.Equal(4, (await server.DrawAsync(new { prompt = "heart", n = 4 })).Count);
    }

    [Fact]
    public async Task The_end_waits_for_what_is_being_drawn()
    {
        var backend = new SlowBackend(images: 2);
        backend.Steps.Release(8);
        await using var server = await TestServer.StartAsync(backend: backend);
        var last = server.DrawAsync(new { prompt = "heart", n = 4 });
        await server.WaitAsync(2);
        var stop = server.Server.StopAsync();
        backend.Steps.Release(1000 * CodesPerImage);

        Assert.Equal(4, (await last).Count);
        await stop;
        await Assert.ThrowsAsync<HttpRequestException>(() => server.Client.GetAsync("/healthz"));
    }
}
