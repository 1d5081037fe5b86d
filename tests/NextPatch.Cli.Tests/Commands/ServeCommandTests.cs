using System.Diagnostics;
using System.Net.Http.Json;
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
        var images = JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement.GetProperty("data").EnumerateArray();
        Assert.Equal(
            [File.ReadAllBytes(folder["samples/000000.png"]), File.ReadAllBytes(folder["samples/000001.png"])],
            images.Select(image => image.GetProperty("b64_json").GetBytesFromBase64()));
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
    public async Task After_a_kill_it_starts_again_at_the_same_address()
    {
        string url;
        using (var first = await StartAsync())
        {
            url = first.Address.ToString().TrimEnd('/');
        }

        using var second = await StartAsync("--urls", url);
        Assert.Equal(url, second.Address.ToString().TrimEnd('/'));
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

    private static async Task<Served> StartAsync(params string[] args)
    {
        string[] urls = args.Contains("--urls") ? [] : ["--urls", "http://127.0.0.1:0"];
        var process = Process.Start(CommandProcess.Command(["serve", .. urls, .. args]))!;
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
