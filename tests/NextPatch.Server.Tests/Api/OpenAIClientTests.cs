using System.ClientModel;
using System.ClientModel.Primitives;
using OpenAI;
using OpenAI.Images;

namespace NextPatch.Server.Tests.Api;

/// <summary>The official .NET client, unchanged.</summary>
public sealed class OpenAIClientTests
{
    [Fact]
    public async Task The_client_draws_edits_and_lists()
    {
        await using var server = await TestServer.StartAsync();
        var client = Client(server, retries: 3);
        var images = client.GetImageClient("quickstart");
        var drawn = await images.GenerateImagesAsync(
            "heart", 3, new ImageGenerationOptions { Size = new GeneratedImageSize(32, 32), EndUserId = "me" });
        Assert.Equal(3, drawn.Value.Count);
        Assert.All(drawn.Value, image => Assert.Equal(0x89, image.ImageBytes.ToArray()[0]));

        var url = await images.GenerateImageAsync("heart", new ImageGenerationOptions { ResponseFormat = GeneratedImageFormat.Uri });
        Assert.Equal(0x89, (await server.Client.GetByteArrayAsync(url.Value.ImageUri))[0]);

        using var holes = new SkiaSharp.SKBitmap(new SkiaSharp.SKImageInfo(32, 32, SkiaSharp.SKColorType.Rgba8888, SkiaSharp.SKAlphaType.Unpremul));
        using var mask = holes.Encode(SkiaSharp.SKEncodedImageFormat.Png, 100).AsStream();
        var edited = await images.GenerateImageEditAsync(
            drawn.Value[0].ImageBytes.ToStream(), "image.png", "star", mask, "mask.png", new ImageEditOptions());
        Assert.Equal(0x89, edited.Value.ImageBytes.ToArray()[0]);

        var models = await client.GetOpenAIModelClient().GetModelsAsync();
        Assert.Equal("quickstart", Assert.Single(models.Value).Id);
    }

    [Fact]
    public async Task The_client_knows_the_errors()
    {
        await using var server = await TestServer.StartAsync();
        var images = Client(server, retries: 0).GetImageClient("quickstart");
        var wrong = await Assert.ThrowsAsync<ClientResultException>(() => images.GenerateImageAsync("unicorn"));
        Assert.Equal(400, wrong.Status);
        Assert.Contains("no class 'unicorn'", wrong.Message, StringComparison.Ordinal);
        var missing = await Assert.ThrowsAsync<ClientResultException>(
            () => Client(server, retries: 0).GetImageClient("dall-e-3").GenerateImageAsync("heart"));
        Assert.Equal(404, missing.Status);
    }

    private static OpenAIClient Client(TestServer server, int retries) => new(new ApiKeyCredential("none"), new OpenAIClientOptions
    {
        Endpoint = new Uri(server.Address, "/v1"), RetryPolicy = new ClientRetryPolicy(retries),
    });
}
