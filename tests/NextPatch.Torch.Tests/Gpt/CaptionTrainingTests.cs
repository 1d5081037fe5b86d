using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Gpt.Fused;
using NextPatch.Torch.Gpt.Reference;
using NextPatch.Torch.Loading;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tests.Gpt;

/// <summary>Training passes of models that captions condition.</summary>
[NoTensorLeaks]
public sealed class CaptionTrainingTests
{
    private const int Width = 6;
    private const int Rows = 9;

    // The caption of the second image is dropped; the third one has no token, so its last row is a pad that sees itself alone.
    private static readonly int[] Lengths = [5, 3, 0, 5];
    private static readonly bool[] IsDropped = [false, true, false, false];

    private static GptConfig Config { get; } =
        TinyGpt.Config with { ClassCount = 1, Text = new TextCondition { FeatureWidth = Width, TokenCount = Rows } };

    [Fact]
    public void Published_names_and_the_count_of_what_is_trained()
    {
        using var model = TinyGpt.Create(Config);
        Assert.Equal(
            ["cls_embedding.uncond_embedding", "cls_embedding.cap_proj.fc1.weight", "cls_embedding.cap_proj.fc2.weight", "tok_embeddings.weight"],
            StateLoader.StateOf(model).Take(4).Select(p => p.Key));
        Assert.Equal(Config.ParameterCount, model.named_parameters().Sum(p => p.parameter.NumberOfElements));
        Assert.DoesNotContain(model.named_parameters(), p => p.name.Contains("uncond", StringComparison.Ordinal));
    }

    /// <summary>Padding is seen by nobody, so a batch needs only as many condition rows as its longest caption has tokens.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void Rows_of_the_longest_caption_train_as_all_published_ones(int side)
    {
        using var model = TinyGpt.Create(Config);
        using var pass = new ReferenceGpt(model);

        var (loss, gradients) = Step(pass, model, side, Captions(5));
        var (plainLoss, plain) = Step(pass, model, side, Captions(Rows));

        Assert.Equal(plainLoss, loss, 1e-5);
        AssertClose(plain, gradients, 1e-5);
        Assert.Contains(plain["cls_embedding.cap_proj.fc1.weight"], g => Math.Abs(g) > 1e-4);
    }

    /// <summary>
    /// Every kind of dropout, grouped heads, and a batch in two parts, the second of captions as long as each other. Attention that drops nothing
    /// takes the rows of a caption for one key.
    /// </summary>
    [Theory]
    [InlineData(1, 0.2)]
    [InlineData(2, 0.2)]
    [InlineData(1, 0)]
    [InlineData(2, 0)]
    public void Fused_step_and_reference_have_the_same_loss_and_gradients(int side, double attentionDropout)
    {
        var config = Config with
        {
            LayerCount = 3,
            KvHeadCount = 2,
            TokenDropout = 0.1,
            ResidualDropout = 0.2,
            FfnDropout = 0.1,
            AttentionDropout = attentionDropout,
            DropPath = 0.3,
        };
        using var model = TinyGpt.Create(config);
        using var fused = new FusedGpt(model);
        using var reference = new ReferenceGpt(model);

        var (expectedLoss, expected) = Step(reference, model, side, Captions(5), Captions(5, 0, 3));
        var (loss, actual) = Step(fused, model, side, Captions(5), Captions(5, 0, 3));

        Assert.Equal(expectedLoss, loss, 2e-5);
        AssertClose(expected, actual, 2e-5);
        Assert.Equal(Evaluate(reference, side), Evaluate(fused, side), 2e-5);
    }

    /// <summary>As published: all condition rows, each a key.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void One_key_for_a_caption_trains_as_a_key_for_each_published_row(int side)
    {
        using var model = TinyGpt.Create(Config);
        using FusedGpt fused = new(model), plain = new(model, isPlain: true);

        var (expectedLoss, expected) = Step(plain, model, side, Captions(Rows));
        var (loss, actual) = Step(fused, model, side, Captions(5));

        Assert.Equal(expectedLoss, loss, 1e-5);
        AssertClose(expected, actual, 1e-5);
    }

    [Fact]
    public void Activations_computed_again_are_the_same()
    {
        using var model = TinyGpt.Create(Config with { TokenDropout = 0.1, ResidualDropout = 0.2 });
        using FusedGpt kept = new(model), again = new(model, recompute: true);

        var (loss, expected) = Step(kept, model, 2, Captions(5));
        var (otherLoss, actual) = Step(again, model, 2, Captions(5));

        Assert.Equal(loss, otherLoss);
        AssertClose(expected, actual, 0);
    }

    /// <summary>What an image learns of its caption is its own: features change, dropped ones and padding do not matter.</summary>
    [Fact]
    public void Dropped_captions_and_padding_do_not_matter()
    {
        using var model = TinyGpt.Create(Config);
        using var pass = new FusedGpt(model);
        var captions = Captions(5);
        var before = Evaluate(pass, 1, captions);
        for (var image = 0; image < Lengths.Length; image++)
        {
            for (var row = 0; row < 5; row++)
            {
                var changed = (float[])captions.Features.Clone();
                changed[(((image * 5) + row) * Width) + 1] += 1;
                var isSeen = !IsDropped[image] && (row >= 5 - Lengths[image] || row == 4); // the last row predicts the first patch, padding or not
                Assert.Equal(isSeen, Math.Abs(Evaluate(pass, 1, captions with { Features = changed }) - before) > 1e-6);
            }
        }
    }

    private static CaptionBatch Captions(int rows, params int[] images)
    {
        images = images.Length == 0 ? [0, 1, 2, 3] : images;
        var features = new float[images.Length * rows * Width];
        for (var i = 0; i < images.Length; i++)
        {
            var count = Lengths[images[i]] * Width;
            for (var k = 0; k < count; k++)
            {
                features[((i + 1) * rows * Width) - count + k] = MathF.Sin((images[i] * 50) + (k * 1.7f));
            }
        }

        return new CaptionBatch(features, [.. images.Select(i => Lengths[i])], [.. images.Select(i => IsDropped[i])]);
    }

    private static (double Loss, Dictionary<string, float[]> Gradients) Step(IGptPass pass, GptModel model, int side, params CaptionBatch[] batches)
    {
        for (var i = 0; i < batches.Length; i++)
        {
            var images = batches[i].Lengths.Length;
            pass.Forward(new long[images], Codes(images), new PatchGeometry(4, side), (ulong)(7 + i), 0.5, batches[i]);
            pass.Backward();
        }

        using var scope = NewDisposeScope();
        return (pass.TakeLoss(), model.named_parameters().ToDictionary(p => p.name, p =>
        {
            var values = (p.parameter.grad ?? zeros_like(p.parameter)).data<float>().ToArray();
            p.parameter.grad = null;
            return values;
        }));
    }

    private static double Evaluate(IGptPass pass, int side, CaptionBatch? captions = null)
        => pass.Evaluate(new long[4], Codes(4), new PatchGeometry(4, side), captions ?? Captions(5));

    private static long[] Codes(int images) => [.. Enumerable.Range(0, images * 16).Select(i => (long)((i * i) + (i / 7)) % 20)];

    private static void AssertClose(Dictionary<string, float[]> expected, Dictionary<string, float[]> actual, double tolerance)
    {
        foreach (var (name, values) in expected)
        {
            var scale = Math.Sqrt(values.Average(v => (double)v * v)) + 1e-7;
            var error = Math.Sqrt(values.Zip(actual[name], (a, b) => (double)(a - b) * (a - b)).Average());
            Assert.True(error <= tolerance * scale, $"{name}: off by {error:g3}, gradients are {scale:g3}");
        }
    }
}
