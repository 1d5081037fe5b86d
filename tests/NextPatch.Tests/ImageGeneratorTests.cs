using NextPatch.Cli.Tests;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Generation;
using NextPatch.Models;
using NextPatch.Sampling;
using static TorchSharp.torch;

namespace NextPatch.Tests;

// Without [NoTensorLeaks]: it counts per thread, and images are drawn on workers. Tensor.TotalCount counts those of all threads.
public sealed class ImageGeneratorTests
{
    [Fact]
    public async Task Images_are_those_of_the_sample_command_byte_by_byte()
    {
        using var folder = new TemporaryFolder();
        var path = SmallModel.Write(folder);
        using (var model = SampleModel.Load(path))
        {
            new SampleWriter(model).Write(
                folder["sampled"], null, new GenerationRequest { Labels = [1, 0, 1, 0, 1], Seed = 7 }, progress: null, CancellationToken.None);
        }

        using var generator = ImageGenerator.Load(path);
        await foreach (var image in generator.GenerateAsync(new() { Classes = ["star", "circle"], Count = 5, Seed = 7 }))
        {
            image.SavePng(folder[$"{image.Index}.png"]);
            Assert.Equal((8, 8, 8 * 8 * 3, 7ul), (image.Width, image.Height, image.Pixels.Length, image.Seed));
            Assert.Equal(image.Index % 2 == 0 ? (1, "star") : (0, "circle"), (image.Class, image.ClassName));
            Assert.Equal(File.ReadAllBytes(folder[$"sampled/{image.Index:D6}.png"]), File.ReadAllBytes(folder[$"{image.Index}.png"]));
            using var stream = new MemoryStream();
            image.WritePng(stream);
            Assert.Equal(File.ReadAllBytes(folder[$"{image.Index}.png"]), stream.ToArray());
        }

        Assert.True(File.Exists(folder["4.png"]));
    }

    [Fact]
    public async Task An_image_depends_on_its_index_and_not_on_what_is_drawn_with_it()
    {
        using var folder = new TemporaryFolder();
        using var generator = ImageGenerator.Load(SmallModel.Write(folder));

        var many = await DrawAsync(generator, new() { Classes = ["star"], Count = 70, Seed = 3, TopK = 20 });
        var few = await DrawAsync(generator, new() { Classes = ["star"], Count = 4, FirstIndex = 62, Seed = 3, TopK = 20 });

        Assert.Equal(Enumerable.Range(0, 70).Select(i => (long)i), many.Select(i => i.Index));
        Assert.Equal([62, 63, 64, 65], few.Select(i => i.Index));
        Assert.Equal(many[62..66].Select(Pixels), few.Select(Pixels));
    }

    [Fact]
    public async Task The_average_is_drawn_from_where_there_is_one()
    {
        using var folder = new TemporaryFolder();
        var path = SmallModel.Write(folder);
        using var usual = ImageGenerator.Load(path);
        using var averaged = ImageGenerator.Load(path, new() { Weights = WeightsKind.Ema });
        using var raw = ImageGenerator.Load(path, new() { Weights = WeightsKind.Model });

        Assert.Equal(averaged.ModelHash, usual.ModelHash);
        Assert.NotEqual(raw.ModelHash, usual.ModelHash);
        Assert.Equal(Pixels((await DrawAsync(averaged, new() { Count = 1 }))[0]), Pixels((await DrawAsync(usual, new() { Count = 1 }))[0]));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Requests_at_the_same_time_give_what_they_give_alone(bool ownGenerators)
    {
        using var folder = new TemporaryFolder();
        var path = SmallModel.Write(folder);
        using var one = ImageGenerator.Load(path);
        using var other = ownGenerators ? ImageGenerator.Load(path) : null;
        ImageRequest[] requests =
            [.. Enumerable.Range(0, 6).Select(i => new ImageRequest { Count = 66, Seed = (ulong)i, TopP = 0.9, GuidanceScale = 1 + (i % 3) })];
        var alone = new List<List<GeneratedImage>>();
        foreach (var request in requests)
        {
            alone.Add(await DrawAsync(one, request));
        }

        var together = await Task.WhenAll(
            requests.Select((request, i) => Task.Run(() => DrawAsync(i % 2 == 0 || other is null ? one : other, request))));

        Assert.All(together.Zip(alone), pair => Assert.Equal(pair.Second.Select(Pixels), pair.First.Select(Pixels)));
    }

    [Fact]
    public async Task Cancelling_stops_and_the_generator_goes_on()
    {
        using var folder = new TemporaryFolder();
        using var generator = ImageGenerator.Load(SmallModel.Write(folder));
        using var cancellation = new CancellationTokenSource();
        var seen = 0;

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var image in generator.GenerateAsync(new() { Count = 200 }, cancellation.Token))
            {
                seen++;
                await cancellation.CancelAsync();
            }
        });

        Assert.InRange(seen, 1, 64);
        Assert.Single(await DrawAsync(generator, new() { Count = 1 }));
    }

    [Fact]
    public async Task A_request_leaves_no_tensor_behind_done_cancelled_or_abandoned()
    {
        using var folder = new TemporaryFolder();
        using var generator = ImageGenerator.Load(SmallModel.Write(folder));
        await DrawAsync(generator, new() { Count = 1 });
        var before = Tensor.TotalCount;

        await DrawAsync(generator, new() { Count = 70 });
        Assert.Equal(before, Tensor.TotalCount);

        for (var milliseconds = 0; milliseconds < 40; milliseconds += 4) // at other positions each time
        {
            using var cancellation = new CancellationTokenSource(milliseconds);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
            {
                await foreach (var image in generator.GenerateAsync(new() { Count = 100_000 }, cancellation.Token))
                {
                }
            });
            Assert.Equal(before, Tensor.TotalCount);
        }

        await foreach (var image in generator.GenerateAsync(new() { Count = 200 }))
        {
            break;
        }

        Assert.Equal(before, Tensor.TotalCount);
    }

    [Fact]
    public async Task After_disposal_every_member_says_so()
    {
        using var folder = new TemporaryFolder();
        var generator = ImageGenerator.Load(SmallModel.Write(folder));
        await using var begun = generator.GenerateAsync(new() { Count = 65 }).GetAsyncEnumerator();
        Assert.True(await begun.MoveNextAsync());
        var image = begun.Current;

        generator.Dispose();
        generator.Dispose();

        Assert.Equal(8, image.Width);
        Assert.Throws<ObjectDisposedException>(() => generator.GenerateAsync(new() { Count = 1 }));
        Assert.All<Func<object>>(
            [() => generator.ClassNames, () => generator.ClassCount, () => generator.ImageSize, () => generator.ModelHash, () => generator.Engine],
            member => Assert.Throws<ObjectDisposedException>(member));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () =>
        {
            while (await begun.MoveNextAsync())
            {
            }
        });
    }

    [Fact]
    public void What_cannot_be_drawn_is_said_by_the_call()
    {
        using var folder = new TemporaryFolder();
        using var generator = ImageGenerator.Load(SmallModel.Write(folder));

        Assert.Contains(
            "no class 'sofa'", Assert.Throws<ConfigException>(() => generator.GenerateAsync(new() { Classes = ["sofa"] })).Message,
            StringComparison.Ordinal);
        Assert.Equal("Count 0 must be at least 1.", Assert.Throws<ConfigException>(() => generator.GenerateAsync(new() { Count = 0 })).Message);
        Assert.Throws<ConfigException>(() => generator.GenerateAsync(new() { Temperature = -1 }));
    }

    /// <summary>Several models share the tokenizer that lies beside their folders; another model's is not taken.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_model_finds_the_tokenizer_beside_its_folder_if_it_is_the_one_it_remembers(bool remembers)
    {
        using var folder = new TemporaryFolder();
        SmallModel.Write(folder);
        var hash = remembers ? WeightsHash.ComputeForTokenizer(folder["tokenizer"]) : null;
        var checkpoint = Path.Combine(SmallModel.Write(folder, tokenizerHash: hash), "step-00000005");
        Directory.CreateDirectory(folder["models"]);
        Directory.Move(checkpoint, folder["models/one"]);
        Directory.Move(folder["tokenizer"], folder["models/tokenizer"]);
        File.Delete(folder["models/one/state.json"]); // of a run

        if (remembers)
        {
            using var generator = ImageGenerator.Load(folder["models/one"]);
            Assert.Equal(8, generator.ImageSize);
        }
        else
        {
            var refused = Assert.Throws<NextPatchException>(() => ImageGenerator.Load(folder["models/one"]));
            Assert.Contains("name one with Tokenizer", refused.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Without_a_tokenizer_there_are_no_images()
    {
        using var folder = new TemporaryFolder();
        var path = SmallModel.Write(folder, withTokenizer: false);

        var error = Assert.Throws<NextPatchException>(() => ImageGenerator.Load(path));

        Assert.Contains("name one with Tokenizer", error.Message, StringComparison.Ordinal);
    }

    private static async Task<List<GeneratedImage>> DrawAsync(ImageGenerator generator, ImageRequest request)
    {
        var images = new List<GeneratedImage>();
        await foreach (var image in generator.GenerateAsync(request))
        {
            images.Add(image);
        }

        return images;
    }

    private static byte[] Pixels(GeneratedImage image) => image.Pixels.ToArray();
}
