using System.Diagnostics;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace NextPatch.Cli.Tests.Commands;

/// <summary><c>nextpatch serve</c> as a process: addresses, keys, models, signals, kills.</summary>
public sealed class ServeCommandTests
{
    private const int Terminate = 15;

    [Fact]
    public async Task It_serves_what_sample_draws_and_ends_with_0_when_it_is_told_to()
    {
        using var folder = new TemporaryFolder();
        var sample = await CommandLine.RunAsync("sample", "--class", "heart", "--count", "2", "--seed", "7", "--output", folder["samples"]);
        Assert.Equal(0, sample.ExitCode);
        using var server = await StartAsync();
        using var client = new HttpClient { BaseAddress = server.Address };

        using var answer = await client.PostAsJsonAsync("/v1/images/generations", new { prompt = "heart", n = 2, seed = 7 });
        Assert.Equal(
            [File.ReadAllBytes(folder["samples/000000.png"]), File.ReadAllBytes(folder["samples/000001.png"])],
            ImagesOf(await answer.Content.ReadAsStringAsync()));
        Assert.Equal(0, await server.StopAsync());
    }

    [Fact]
    public async Task Models_have_the_names_that_they_are_given_and_outlive_their_files()
    {
        using var folder = new TemporaryFolder();
        var path = SmallModel.Write(folder);
        using var server = await StartAsync("--model", $"first={path}", "--model", path);
        using var client = new HttpClient { BaseAddress = server.Address };
        Directory.Delete(path, recursive: true);

        var list = JsonDocument.Parse(await client.GetStringAsync("/v1/models")).RootElement.GetProperty("data").EnumerateArray();
        Assert.Equal(["first", Path.GetFileName(path)], list.Select(model => model.GetProperty("id").GetString()));
        using var answer = await client.PostAsJsonAsync("/v1/images/generations", new { prompt = "star", model = "first" });
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        Assert.Equal(0, await server.StopAsync());
    }

    [Fact]
    public async Task Killed_under_load_it_starts_again_at_the_same_address_draws_the_same_and_leaves_no_files()
    {
        using var folder = new TemporaryFolder();
        var temporary = Directory.CreateDirectory(folder["tmp"]).FullName;
        string url;
        byte[][] images;
        using (var first = await StartAsync(temporary, []))
        {
            url = first.Address.ToString().TrimEnd('/');
            using var client = new HttpClient { BaseAddress = first.Address };
            images = await DrawAsync(client);
            using var upload = await BeginUploadAsync(first.Address);
            var drawn = 0;
            var load = Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
            {
                while (true)
                {
                    await DrawAsync(client);
                    Interlocked.Increment(ref drawn);
                }
            })).ToList();
            await CommandProcess.WaitFor(() => drawn >= 16, first.Process);
            first.Process.Kill(); // SIGKILL
            await first.Process.WaitForExitAsync();
            foreach (var task in load)
            {
                await Assert.ThrowsAnyAsync<Exception>(() => task.WaitAsync(TimeSpan.FromSeconds(30)));
                Assert.True(task.IsFaulted, "a client still waits for the killed server");
            }
        }

        // The runtime's own sockets for debuggers stay after any kill; nothing of ours does.
        Assert.DoesNotContain(Directory.GetFileSystemEntries(temporary).Select(Path.GetFileName), name => !IsOfTheRuntime(name!));
        using var second = await StartAsync(temporary, ["--urls", url]);
        Assert.Equal(url, second.Address.ToString().TrimEnd('/'));
        using var other = new HttpClient { BaseAddress = second.Address };
        Assert.Equal(images, await DrawAsync(other));
        Assert.Equal(0, await second.StopAsync());

        static bool IsOfTheRuntime(string name)
            => name.StartsWith("dotnet-diagnostic-", StringComparison.Ordinal) || name.StartsWith("clr-debug-pipe-", StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_address_that_is_taken_is_an_error_with_a_message()
    {
        using var server = await StartAsync();
        var (exit, error) = await CommandProcess.RunWithErrors(["serve", "--urls", server.Address.ToString().TrimEnd('/')]);
        Assert.Equal(1, exit);
        Assert.Contains("address already in use", error, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("defect", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--insecure", "--urls", "http://0.0.0.0:80800")]
    [InlineData("--api-key", "--urls", "http://0.0.0.0:8080")]
    [InlineData("--urls", "--urls", "https://127.0.0.1:8080")]
    [InlineData("--urls", "--urls", "127.0.0.1:8080")]
    [InlineData("--urls", "--urls", ";")]
    [InlineData("--queue", "--queue", "0")]
    [InlineData("--timeout", "--timeout", "0")]
    [InlineData("NAME=PATH", "--model", "a=b", "--model", "a=c")]
    public async Task Wrong_settings_are_a_usage_error(string says, params string[] args)
    {
        var result = await CommandLine.RunAsync(["serve", .. args]);
        Assert.Equal(2, result.ExitCode);
        Assert.True(says == "--insecure" || result.Error.Contains(says, StringComparison.Ordinal), result.Error);
    }

    [Fact]
    public async Task A_model_that_is_not_there_is_said_before_anything_listens()
    {
        var result = await CommandLine.RunAsync("serve", "--model", "no-such-run");
        Assert.Equal(1, result.ExitCode);
        Assert.Contains("no-such-run", result.Error, StringComparison.Ordinal);
        Assert.Empty(result.Output);
    }

    private static async Task<byte[][]> DrawAsync(HttpClient client)
    {
        using var answer = await client.PostAsJsonAsync("/v1/images/generations", new { prompt = "heart", n = 4, seed = 7 });
        return ImagesOf(await answer.Content.ReadAsStringAsync());
    }

    /// <summary>Half of a form with a large picture.</summary>
    private static async Task<TcpClient> BeginUploadAsync(Uri server)
    {
        const int Size = 1 << 20;
        var client = new TcpClient(server.Host, server.Port);
        var head = $"POST /v1/images/edits HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: {2 * Size}"
            + "\r\n\r\n--x\r\nContent-Disposition: form-data; name=\"image\"; filename=\"image.png\"\r\n\r\n";
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(head));
        await client.GetStream().WriteAsync(new byte[Size]);
        return client;
    }

    private static byte[][] ImagesOf(string json)
        => [.. JsonDocument.Parse(json).RootElement.GetProperty("data").EnumerateArray().Select(i => i.GetProperty("b64_json").GetBytesFromBase64())];

    private static Task<Served> StartAsync(params string[] args) => StartAsync(null, args);

    /// <param name="temporary">Folder of temporary files; null: the usual one.</param>
    /// <param name="args">Options.</param>
    private static async Task<Served> StartAsync(string? temporary, string[] args)
    {
        string[] urls = args.Contains("--urls") ? [] : ["--urls", "http://127.0.0.1:0"];
        var command = CommandProcess.Command(["serve", .. urls, .. args]);
        command.Environment["TMPDIR"] = temporary ?? Path.GetTempPath();
        var process = Process.Start(command)!;
        var errors = process.StandardError.ReadToEndAsync();
        var line = await process.StandardOutput.ReadLineAsync();
        return line is null
            ? throw new InvalidOperationException(await errors)
            : new Served(process, new Uri(line));
    }

    private sealed record Served(Process Process, Uri Address) : IDisposable
    {
        /// <returns>The exit code after SIGTERM.</returns>
        public async Task<int> StopAsync()
        {
            using var kill = Process.Start("kill", [$"-{Terminate}", $"{Process.Id}"]);
            await Process.WaitForExitAsync();
            return Process.ExitCode;
        }

        public void Dispose()
        {
            Process.Kill();
            Process.WaitForExit();
            Process.Dispose();
        }
    }
}
