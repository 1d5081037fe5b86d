using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using NextPatch.Core;

namespace NextPatch.Server.Tests.Api;

/// <summary>Everything beside the images: models, health, figures, the key, logs, the page.</summary>
public sealed class ServerTests
{
    [Fact]
    public async Task Models_are_listed_and_one_tells_its_classes()
    {
        await using var server = await TestServer.StartAsync();
        var list = JsonDocument.Parse(await server.Client.GetStringAsync("/v1/models")).RootElement;
        var id = Assert.Single(list.GetProperty("data").EnumerateArray()).GetProperty("id").GetString();
        var model = JsonDocument.Parse(await server.Client.GetStringAsync($"/v1/models/{id}")).RootElement;

        Assert.Equal("model", model.GetProperty("object").GetString());
        Assert.Contains("heart", model.GetProperty("nextpatch").GetProperty("classes").EnumerateArray().Select(c => c.GetString()));
        var error = await TestServer.ErrorAsync(await server.Client.GetAsync("/v1/models/a/b"), HttpStatusCode.NotFound);
        Assert.Equal("model_not_found", error.GetProperty("code").GetString());
    }

    [Theory]
    [InlineData("org/tiny")]
    [InlineData("org%2Ftiny")]
    [InlineData("org%2ftiny")]
    public async Task A_model_with_a_slash_in_its_name_is_found_as_any_client_writes_it(string path)
    {
        await using var server = await TestServer.StartAsync(name: "org/tiny");
        var model = JsonDocument.Parse(await server.Client.GetStringAsync($"/v1/models/{path}")).RootElement;
        Assert.Equal("org/tiny", model.GetProperty("id").GetString());
    }

    [Fact]
    public async Task Every_path_of_the_description_answers_and_its_fields_are_those_that_are_read()
    {
        await using var server = await TestServer.StartAsync();
        var document = JsonDocument.Parse(await server.Client.GetStringAsync("/openapi.json")).RootElement;
        foreach (var path in document.GetProperty("paths").EnumerateObject())
        {
            var isPost = path.Value.TryGetProperty("post", out _);
            var url = path.Name.Replace("{id}", "quickstart", StringComparison.Ordinal).Replace("{name}", "x", StringComparison.Ordinal);
            using var response = isPost ? await server.Client.PostAsync(url, null) : await server.Client.GetAsync(url);
            Assert.Equal(isPost ? 415 : url == "/files/x" ? 404 : 200, (int)response.StatusCode);
        }

        var fields = document.GetProperty("components").GetProperty("schemas").GetProperty("Generation").GetProperty("properties");
        foreach (var field in fields.EnumerateObject().Where(f => f.Name is not ("prompt" or "response_format" or "model" or "size" or "stream")))
        {
            var value = field.Value.TryGetProperty("enum", out var words) ? words[0].GetRawText()
                : field.Value.GetProperty("type").GetString() switch { "integer" or "number" => "1", "boolean" => "false", _ => "\"x\"" };
            using var response = await server.PostTextAsync($$"""{"prompt": "heart", "stream": true, "{{field.Name}}": {{value}}}""");
            Assert.True(response.IsSuccessStatusCode, $"{field.Name}: {await response.Content.ReadAsStringAsync()}");
        }
    }

    [Fact]
    public async Task Figures_count_what_was_drawn_and_what_went_wrong()
    {
        await using var server = await TestServer.StartAsync();
        await server.DrawAsync(new { prompt = "heart", n = 3 });
        await server.PostAsync(new { prompt = "unicorn" });
        await Task.Delay(400); // the exporter keeps its text for a while
        var text = await server.Client.GetStringAsync("/metrics");

        foreach (var name in new[]
        {
            "nextpatch_images_total", "nextpatch_codes_total", "nextpatch_errors_total", "nextpatch_queue_images", "nextpatch_rows",
            "nextpatch_queue_duration_seconds_count", "nextpatch_work_duration_seconds_count",
        })
        {
            Assert.Contains(name, text, StringComparison.Ordinal);
        }

        Assert.Contains("kind=\"invalid_value\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task With_a_key_only_health_and_page_are_open()
    {
        await using var server = await TestServer.StartAsync(new ImageServerOptions { ApiKey = "secret" });
        foreach (var path in new[] { "/v1/models", "/metrics", "/v1/none", "/V1/models", "/METRICS" })
        {
            await TestServer.ErrorAsync(await server.Client.GetAsync(path), HttpStatusCode.Unauthorized);
        }

        await TestServer.ErrorAsync(
            await server.Client.PostAsJsonAsync("/V1/Images/Generations", new { prompt = "heart" }), HttpStatusCode.Unauthorized);

        foreach (var path in new[] { "/", "/healthz", "/readyz", "/openapi.json" })
        {
            Assert.Equal(HttpStatusCode.OK, (await server.Client.GetAsync(path)).StatusCode);
        }

        server.Client.DefaultRequestHeaders.Authorization = new("Bearer", "secrets");
        await TestServer.ErrorAsync(await server.Client.GetAsync("/v1/models"), HttpStatusCode.Unauthorized);
        server.Client.DefaultRequestHeaders.Authorization = new("Bearer", "secret");
        Assert.Single(await server.DrawAsync(new { prompt = "heart" }));
    }

    [Fact]
    public async Task A_local_server_answers_to_no_other_name_and_no_other_page()
    {
        await using var server = await TestServer.StartAsync();
        using var named = new HttpRequestMessage(HttpMethod.Get, "/v1/models") { Headers = { Host = "evil.example" } };
        await TestServer.ErrorAsync(await server.Client.SendAsync(named), HttpStatusCode.Forbidden);
        foreach (var (origin, status) in new[]
        {
            ("http://evil.example", HttpStatusCode.Forbidden), ("null", HttpStatusCode.Forbidden),
            ($"http://{server.Address.Authority}", HttpStatusCode.OK),
        })
        {
            using var sent = new HttpRequestMessage(HttpMethod.Get, "/v1/models") { Headers = { { "Origin", origin } } };
            Assert.Equal(status, (await server.Client.SendAsync(sent)).StatusCode);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Prompts_are_logged_only_where_that_is_asked_for(bool isAsked)
    {
        await using var server = await TestServer.StartAsync(new ImageServerOptions { LogsPrompts = isAsked });
        await server.DrawAsync(new { prompt = "heart" });
        await server.PostAsync(new { prompt = "my secret\u001b[31m" });

        Assert.Equal(isAsked, server.Logs.Any(line => line.Contains("heart", StringComparison.Ordinal)));
        Assert.DoesNotContain(server.Logs, line => line.Contains("my secret", StringComparison.Ordinal));
        Assert.Contains(
            server.Logs, line => line.StartsWith("req_", StringComparison.Ordinal) && line.Contains("invalid_value", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_page_names_no_other_host()
    {
        await using var server = await TestServer.StartAsync();
        foreach (var (path, type) in new[]
        {
            ("/", "text/html"), ("/app.js", "text/javascript"), ("/style.css", "text/css"), ("/icon.svg", "image/svg+xml"),
        })
        {
            using var response = await server.Client.GetAsync(path);
            var text = (await response.Content.ReadAsStringAsync()).Replace("http://www.w3.org/2000/svg", "", StringComparison.Ordinal);
            Assert.Equal(type, response.Content.Headers.ContentType!.MediaType);
            Assert.DoesNotContain("://", text, StringComparison.Ordinal);
            Assert.Contains("default-src 'none'", response.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("http://127.0.0.1:8080", true)]
    [InlineData("http://localhost", true)]
    [InlineData("http://[::1]:8080", true)]
    [InlineData("http://0.0.0.0:8080", false)]
    [InlineData("http://*:8080", false)]
    [InlineData("http://+:8080", false)]
    [InlineData("http://192.168.0.1", false)]
    [InlineData("http://[::]:8080", false)]
    [InlineData("https://localhost", null)]
    [InlineData("localhost:8080", null)]
    [InlineData("http://localhost/path", null)]
    [InlineData("", null)]
    public void An_address_is_local_open_or_none(string url, bool? isLocal)
    {
        if (isLocal is null)
        {
            Assert.Throws<ConfigException>(() => ListenAddress.IsLocal(url));
        }
        else
        {
            Assert.Equal(isLocal, ListenAddress.IsLocal(url));
        }
    }
}
