using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using NextPatch.Cli.Tests;
using NextPatch.Core;
using NextPatch.Core.Imaging;
using NextPatch.Extensions.AI;

namespace NextPatch.Server.Tests.ExtensionsAI;

/// <summary>NextPatch behind IImageGenerator, alone and among services.</summary>
public sealed class NextPatchImageGeneratorTests
{
    [Fact]
    public async Task It_draws_what_the_library_draws()
    {
        using var library = ImageGenerator.LoadBuiltIn();
        using var generator = new NextPatchImageGenerator(library);
        var answer = await generator.GenerateAsync(new ImageGenerationRequest("heart"), new ImageGenerationOptions
        {
            Count = 2, ImageSize = new(32, 32), AdditionalProperties = new() { ["seed"] = 7, ["cfg_scale"] = 1.5, ["top_k"] = "200" },
        });

        var place = 0;
        await foreach (var image in library.GenerateAsync(new() { Classes = ["heart"], Count = 2, Seed = 7, GuidanceScale = 1.5, TopK = 200 }))
        {
            using var file = new MemoryStream();
            image.WritePng(file);
            var content = Assert.IsType<DataContent>(answer.Contents[place++]);
            Assert.Equal(("image/png", $"heart-7-{image.Index}.png"), (content.MediaType, content.Name));
            Assert.Equal(file.ToArray(), content.Data.ToArray());
        }

        Assert.Equal(place, answer.Contents.Count);
    }

    [Fact]
    public async Task Services_have_one_generator_with_what_is_built_around_it()
    {
        var services = new ServiceCollection().AddLogging();
        services.AddNextPatch().UseLogging().UseOpenTelemetry();
        await using var provider = services.BuildServiceProvider();
        var generator = provider.GetRequiredService<IImageGenerator>();

        var answer = await generator.GenerateImagesAsync("star", new ImageGenerationOptions { MediaType = "image/webp" });
        Assert.Equal("image/webp", Assert.IsType<DataContent>(Assert.Single(answer.Contents)).MediaType);
        Assert.Equal("nextpatch", generator.GetService<ImageGeneratorMetadata>()!.ProviderName);
        Assert.Same(provider.GetRequiredService<ImageGenerator>(), generator.GetService<ImageGenerator>());
    }

    [Fact]
    public async Task A_text_model_draws_any_prompt_and_has_no_classes()
    {
        using var folder = new TemporaryFolder();
        var model = SmallModel.Write(folder, takesPrompts: true);
        var services = new ServiceCollection();
        services.AddNextPatch(model);
        await using var provider = services.BuildServiceProvider();
        var generator = provider.GetRequiredService<IImageGenerator>();
        var (star, moon) = (await DrawAsync("a small red star, by 日本"), await DrawAsync("a green moon"));

        Assert.NotEqual(star.Data.ToArray(), moon.Data.ToArray());
        Assert.Equal("image-7-0.png", star.Name);
        Assert.Equal("a small red star, by 日本", PngText.Read(new MemoryStream(star.Data.ToArray()))["prompt"]);
        await foreach (var image in provider.GetRequiredService<ImageGenerator>().GenerateAsync(new() { Prompts = ["a green moon"], Seed = 7 }))
        {
            using var file = new MemoryStream();
            image.WritePng(file);
            Assert.Equal(file.ToArray(), moon.Data.ToArray());
        }

        await Assert.ThrowsAsync<ConfigException>(() => generator.GenerateImagesAsync(" "));
        await Assert.ThrowsAsync<ConfigException>(
            () => generator.GenerateImagesAsync("a star", new() { AdditionalProperties = new() { ["class_id"] = 1 } }));

        async Task<DataContent> DrawAsync(string prompt)
        {
            var options = new ImageGenerationOptions { AdditionalProperties = new() { ["seed"] = 7 } };
            return Assert.IsType<DataContent>(Assert.Single((await generator.GenerateImagesAsync(prompt, options)).Contents));
        }
    }

    [Fact]
    public async Task Mistakes_are_named()
    {
        using var library = ImageGenerator.LoadBuiltIn();
        using var generator = new NextPatchImageGenerator(library);
        await Assert.ThrowsAsync<ConfigException>(() => generator.GenerateImagesAsync("unicorn"));
        await Assert.ThrowsAsync<ConfigException>(() => generator.GenerateImagesAsync("heart", new() { ImageSize = new(256, 256) }));
        await Assert.ThrowsAsync<ConfigException>(() => generator.GenerateImagesAsync("heart", new() { MediaType = "image/gif" }));
        await Assert.ThrowsAsync<ConfigException>(
            () => generator.GenerateImagesAsync("heart", new() { AdditionalProperties = new() { ["seed"] = "x" } }));
        await Assert.ThrowsAsync<NotSupportedException>(
            () => generator.GenerateImagesAsync("heart", new() { ResponseFormat = ImageGenerationResponseFormat.Uri }));
    }
}
