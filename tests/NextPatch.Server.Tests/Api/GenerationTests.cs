using System.Net;
using NextPatch.Core.Imaging;

namespace NextPatch.Server.Tests.Api;

/// <summary>POST /v1/images/generations as its contract says.</summary>
public sealed class GenerationTests
{
    [Fact]
    public async Task The_same_request_is_the_same_file_alone_beside_others_and_in_the_library()
    {
        await using var server = await TestServer.StartAsync();
        var request = new { prompt = "heart", n = 3, seed = 7, cfg_scale = 1.5, top_k = 200 };
        var alone = await server.DrawAsync(request);

        var others = Enumerable.Range(0, 9).Select(i => server.DrawAsync(
            new { prompt = $"{i % 10}", n = (i % 3) + 1, seed = i, cfg_scale = i % 2 == 0 ? 1 : 3.5, temperature = 0.5 + (0.1 * i) })).ToList();
        var beside = await server.DrawAsync(request);
        await Task.WhenAll(others);

        using var library = ImageGenerator.LoadBuiltIn();
        var files = new List<byte[]>();
        await foreach (var image in library.GenerateAsync(new() { Classes = ["heart"], Count = 3, Seed = 7, GuidanceScale = 1.5, TopK = 200 }))
        {
            using var file = new MemoryStream();
            image.WritePng(file);
            files.Add(file.ToArray());
        }

        Assert.Equal(alone, beside);
        Assert.Equal(files, alone);
    }

    [Fact]
    public async Task An_answer_has_the_fields_of_the_contract_and_says_the_seed()
    {
        await using var server = await TestServer.StartAsync();
        using var response = await server
            .PostAsync(new { prompt = "HEART", model = "quickstart", size = "auto", user = "me", class_id = (int?)null });
        var json = await TestServer.JsonAsync(response);

        Assert.Equal(
            ["created", "data", "background", "output_format", "quality", "size", "usage"], json.EnumerateObject().Select(p => p.Name));
        var image = json.GetProperty("data")[0];
        using var png = new MemoryStream(image.GetProperty("b64_json").GetBytesFromBase64());
        var text = PngText.Read(png);
        Assert.Equal(text["seed"], image.GetProperty("seed").GetRawText());
        Assert.Equal("heart", image.GetProperty("revised_prompt").GetString());
        Assert.Equal(("png", "32x32"), (json.GetProperty("output_format").GetString(), json.GetProperty("size").GetString()));
    }

    [Theory]
    [InlineData("""{"n": 1}""", "prompt")]
    [InlineData("""{"prompt": "unicorn"}""", "prompt")]
    [InlineData("""{"prompt": 7}""", "prompt")]
    [InlineData("""{"prompt": "\ud800"}""", "prompt")]
    [InlineData("""{"prompt": "heart", "n": 0}""", "n")]
    [InlineData("""{"prompt": "heart", "n": 11}""", "n")]
    [InlineData("""{"prompt": "heart", "n": 1.5}""", "n")]
    [InlineData("""{"prompt": "heart", "n": "2"}""", "n")]
    [InlineData("""{"prompt": "heart", "n": 1e400}""", "n")]
    [InlineData("""{"prompt": "heart", "size": "1024x1024"}""", "size")]
    [InlineData("""{"prompt": "heart", "seed": -1}""", "seed")]
    [InlineData("""{"prompt": "heart", "seed": 18446744073709551616}""", "seed")]
    [InlineData("""{"prompt": "heart", "cfg_scale": 1e38}""", "cfg_scale")]
    [InlineData("""{"prompt": "heart", "cfg_shape": "cubic"}""", "cfg_shape")]
    [InlineData("""{"prompt": "heart", "temperature": -0.1}""", "temperature")]
    [InlineData("""{"prompt": "heart", "top_k": -1}""", "top_k")]
    [InlineData("""{"prompt": "heart", "top_p": 1.1}""", "top_p")]
    [InlineData("""{"prompt": "heart", "class_id": 10}""", "class_id")]
    [InlineData("""{"prompt": "heart", "output_format": "gif"}""", "output_format")]
    [InlineData("""{"prompt": "heart", "output_compression": 101}""", "output_compression")]
    [InlineData("""{"prompt": "heart", "background": "transparent"}""", "background")]
    [InlineData("""{"prompt": "heart", "stream": "yes"}""", "stream")]
    [InlineData("""{"prompt": "heart", "partial_images": 2}""", "partial_images")]
    [InlineData("""{"prompt": "heart", "partial_images": 4, "stream": true}""", "partial_images")]
    [InlineData("""{"prompt": "heart", "response_format": "url", "stream": true}""", "response_format")]
    [InlineData("""{"prompt": "heart", "sed": 7}""", "sed")]
    public async Task A_wrong_field_is_named(string body, string field)
    {
        await using var server = await TestServer.StartAsync();
        var error = await TestServer.ErrorAsync(await server.PostTextAsync(body), HttpStatusCode.BadRequest);

        Assert.Equal(field, error.GetProperty("param").GetString());
        Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
    }

    [Theory]
    [InlineData("", 400)]
    [InlineData("{", 400)]
    [InlineData("[]", 400)]
    [InlineData("null", 400)]
    [InlineData("""{"prompt": "heart", "prompt": "star"}""", 400)]
    [InlineData("""{"prompt": "heart", "model": "gpt-image-1"}""", 404)]
    public async Task What_is_no_request_is_the_clients_fault(string body, int status)
    {
        await using var server = await TestServer.StartAsync();
        await TestServer.ErrorAsync(await server.PostTextAsync(body), (HttpStatusCode)status);
    }

    [Fact]
    public async Task Sizes_that_a_model_does_not_have_are_answered_with_the_one_it_has()
    {
        await using var server = await TestServer.StartAsync();
        var error = await TestServer.ErrorAsync(await server.PostAsync(new { prompt = "heart", size = "256x256" }), HttpStatusCode.BadRequest);
        Assert.Contains("32x32", error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Large_bodies_and_other_types_are_refused()
    {
        await using var server = await TestServer.StartAsync();
        var large = $$"""{"prompt": "{{new string('x', 20 << 20)}}"}""";
        await TestServer.ErrorAsync(await server.PostTextAsync(large), HttpStatusCode.RequestEntityTooLarge);
        await TestServer.ErrorAsync(await server.PostTextAsync("""{"prompt": "heart"}""", "text/plain"), HttpStatusCode.UnsupportedMediaType);
        await TestServer.ErrorAsync(await server.Client.GetAsync("/v1/images/generations"), HttpStatusCode.MethodNotAllowed);
        await TestServer.ErrorAsync(await server.Client.GetAsync("/v1/images/variations"), HttpStatusCode.NotFound);
        Assert.Single(await server.DrawAsync(new { prompt = "heart" }));
    }

    [Theory]
    [InlineData("jpeg", "image/jpeg", 0xFF)]
    [InlineData("webp", "image/webp", (byte)'R')]
    [InlineData("png", "image/png", 0x89)]
    public async Task A_url_gives_the_file(string format, string type, byte first)
    {
        await using var server = await TestServer.StartAsync();
        using var response = await server
            .PostAsync(new { prompt = "heart", response_format = "url", output_format = format, output_compression = 50 });
        var url = (await TestServer.JsonAsync(response)).GetProperty("data")[0].GetProperty("url").GetString();
        using var file = await server.Client.GetAsync(url);

        Assert.Equal(type, file.Content.Headers.ContentType!.MediaType);
        Assert.Equal(first, (await file.Content.ReadAsByteArrayAsync())[0]);
        await TestServer.ErrorAsync(await server.Client.GetAsync("/files/0123.png"), HttpStatusCode.NotFound);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3)]
    public async Task A_stream_has_partial_images_and_one_completed_event_per_image(int partials)
    {
        await using var server = await TestServer.StartAsync();
        var whole = await server.DrawAsync(new { prompt = "heart", seed = 7, n = 2 });
        using var response = await server.PostAsync(new { prompt = "heart", seed = 7, n = 2, stream = true, partial_images = partials });
        var events = await TestServer.EventsAsync(response);

        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        Assert.All(events, e => Assert.Equal(e.Name, e.Data.GetProperty("type").GetString()));
        foreach (var index in new[] { 0, 1 })
        {
            var own = events.Where(e => e.Data.GetProperty("index").GetInt32() == index).ToList();
            Assert.Equal(
                [.. Enumerable.Repeat("image_generation.partial_image", partials), "image_generation.completed"], own.Select(e => e.Name));
            Assert.Equal(Enumerable.Range(0, partials), own.SkipLast(1).Select(e => e.Data.GetProperty("partial_image_index").GetInt32()));
            Assert.Equal(whole[index], own[^1].Data.GetProperty("b64_json").GetBytesFromBase64());
            Assert.True(own[^1].Data.TryGetProperty("usage", out _));
        }
    }

    [Fact]
    public async Task A_partial_image_is_the_image_above_its_last_rows()
    {
        await using var server = await TestServer.StartAsync();
        using var response = await server.PostAsync(new { prompt = "heart", seed = 7, stream = true, partial_rows = true });
        var pictures = (await TestServer.EventsAsync(response))
            .Select(e => Data.Imaging.ImageDecoder.Decode(e.Data.GetProperty("b64_json").GetBytesFromBase64(), "x")).ToList();

        Assert.InRange(pictures.Count, 3, 8); // a busy machine makes fewer
        var (last, side) = (pictures[^1].Pixels, 32 * 3);
        Assert.True(last.Zip(pictures[^2].Pixels, (a, b) => Math.Abs(a - b)).Take(20 * side).Average() < 3); // pixels depend on all codes a little
        var rest = pictures[0].Pixels[(4 * side)..];
        Assert.Single(rest.Chunk(3).Select(p => (p[0], p[1], p[2])).Distinct());
    }
}
