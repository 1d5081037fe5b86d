using System.Net;
using System.Text;
using NextPatch.Cli.Tests;
using NextPatch.Core.Imaging;
using NextPatch.Sampling;

namespace NextPatch.Server.Tests.Api;

public sealed class PromptTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_text_model_takes_any_prompt_and_draws_what_the_library_draws()
    {
        var path = SmallModel.Write(_folder, takesPrompts: true);
        await using var server = await TestServer.StartAsync(SampleModel.Load(path));
        var images = await server.DrawAsync(new { prompt = "a small red star, by 日本", n = 2, seed = 7 });
        using var generator = ImageGenerator.Load(path);
        Assert.True(generator.TakesPrompts);
        var expected = new List<byte[]>();
        await foreach (var image in generator.GenerateAsync(new() { Prompts = ["a small red star, by 日本"], Count = 2, Seed = 7 }))
        {
            using var png = new MemoryStream();
            image.WritePng(png);
            expected.Add(png.ToArray());
            Assert.Equal(("a small red star, by 日本", -1, ""), (image.Prompt, image.Class, image.ClassName));
        }

        Assert.Equal(expected, images);
        Assert.Equal("a small red star, by 日本", PngText.Read(new MemoryStream(images[0]))["prompt"]);
    }

    [Fact]
    public async Task The_answer_tells_the_prompt_and_counts_its_tokens()
    {
        await using var server = await TestServer.StartAsync(SampleModel.Load(SmallModel.Write(_folder, takesPrompts: true)));
        using var response = await server.PostAsync(new { prompt = "a star", n = 2 });
        var json = await TestServer.JsonAsync(response);
        Assert.Equal("a star", json.GetProperty("data")[1].GetProperty("revised_prompt").GetString());
        Assert.False(json.GetProperty("data")[0].TryGetProperty("class_id", out _));
        Assert.Equal(2 * 3, json.GetProperty("usage").GetProperty("input_tokens").GetInt32()); // a, star, end

        using var model = await server.Client.GetAsync("/v1/models/quickstart");
        var own = (await TestServer.JsonAsync(model)).GetProperty("nextpatch");
        Assert.True(own.GetProperty("prompts").GetBoolean());
        Assert.Equal(0, own.GetProperty("classes").GetArrayLength());
    }

    [Theory]
    [InlineData("2x4")] // nothing is left of it
    [InlineData("\u0000\ud800 <b>x</b> &quot;")]
    public async Task Odd_prompts_draw_or_are_the_clients_mistake(string prompt)
    {
        await using var server = await TestServer.StartAsync(SampleModel.Load(SmallModel.Write(_folder, takesPrompts: true)));
        using var response = await server.PostTextAsync($$"""{"prompt": "{{prompt.Replace("\0", "\\u0000", StringComparison.Ordinal)}}"}""");
        Assert.True(response.StatusCode is HttpStatusCode.OK or HttpStatusCode.BadRequest, response.StatusCode.ToString());
        using var longest = await server.PostAsync(new { prompt = new StringBuilder().Insert(0, "(a + b)* ", 3500).ToString() });
        Assert.Equal(HttpStatusCode.OK, longest.StatusCode);
    }

    [Fact]
    public async Task Prompts_that_wait_to_be_encoded_are_in_the_queue_and_those_that_are_refused_are_not_encoded()
    {
        await using var server = await TestServer.StartAsync(
            SampleModel.Load(SmallModel.Write(_folder, takesPrompts: true)), new ImageServerOptions { QueueLimit = 4 });
        var encoding = server.Server.Models[0].Encoding;
        await encoding.WaitAsync();
        using var leave = new CancellationTokenSource();
        using var patience = new CancellationTokenSource(TestServer.Patience);
        var requests = Enumerable.Range(0, 10).Select(i => server.PostAsync(new { prompt = $"star {i}" }, i == 0 ? leave.Token : default)).ToList();
        await server.WaitAsync(4);
        await foreach (var refused in Task.WhenEach(requests).Take(6).WithCancellation(patience.Token))
        {
            Assert.Equal(HttpStatusCode.TooManyRequests, (await refused).StatusCode);
        }

        Assert.Equal(HttpStatusCode.OK, (await server.Client.GetAsync("/healthz")).StatusCode);
        await leave.CancelAsync(); // its place, if it has one, is free again
        await server.WaitAsync(requests[0].IsCompletedSuccessfully ? 4 : 3);
        encoding.Release();
        Assert.Equal(
            requests[0].IsCompletedSuccessfully ? 4 : 3,
            (await Task.WhenAll(requests.Where(request => !request.IsCanceled))).Count(answer => answer.IsSuccessStatusCode));
        await server.WaitAsync(0);
    }

    [Fact]
    public async Task A_prompt_that_is_not_encoded_in_time_is_told_so()
    {
        await using var server = await TestServer.StartAsync(
            SampleModel.Load(SmallModel.Write(_folder, takesPrompts: true)), new ImageServerOptions { Timeout = TimeSpan.FromMilliseconds(300) });
        await server.Server.Models[0].Encoding.WaitAsync();
        var error = await TestServer.ErrorAsync(await server.PostAsync(new { prompt = "a star" }), HttpStatusCode.GatewayTimeout);
        Assert.Equal("timeout", error.GetProperty("code").GetString());
        await server.WaitAsync(0);
    }

    [Fact]
    public async Task A_class_and_an_empty_prompt_are_refused()
    {
        await using var server = await TestServer.StartAsync(SampleModel.Load(SmallModel.Write(_folder, takesPrompts: true)));
        var error = await TestServer.ErrorAsync(await server.PostAsync(new { prompt = "a star", class_id = 1 }), HttpStatusCode.BadRequest);
        Assert.Equal("class_id", error.GetProperty("param").GetString());
        error = await TestServer.ErrorAsync(await server.PostAsync(new { prompt = " " }), HttpStatusCode.BadRequest);
        Assert.Equal("prompt", error.GetProperty("param").GetString());
    }
}
