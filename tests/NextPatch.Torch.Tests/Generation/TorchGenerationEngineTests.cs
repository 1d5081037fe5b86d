using NextPatch.Core;
using NextPatch.Core.Generation;
using NextPatch.Core.Patches;
using NextPatch.Core.Sampling;
using NextPatch.Torch.Generation;
using NextPatch.Torch.Patches;
using NextPatch.Torch.Tests.Gpt;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tests.Generation;

[NoTensorLeaks]
public sealed class TorchGenerationEngineTests
{
    private static int[] Labels(int count) => [.. Enumerable.Range(0, count).Select(i => i % 3)];

    [Theory]
    [InlineData(1.0)]
    [InlineData(2.5)]
    public void An_image_does_not_depend_on_how_many_are_drawn_with_it(double scale)
    {
        using var engine = new TorchGenerationEngine(TinyGpt.Create());
        var request = new GenerationRequest { Labels = Labels(100), Seed = 7, Sampling = new SamplingConfig { GuidanceScale = scale, TopK = 12 } };
        var all = engine.Generate(request);
        var codes = engine.Config.CodesPerImage;
        foreach (var image in new[] { 0, 5, 63, 64, 99 })
        {
            var alone = engine.Generate(request with { Labels = [request.Labels[image]], FirstIndex = image });
            Assert.Equal(all[(image * codes)..((image + 1) * codes)], alone);
        }

        Assert.Equal(all[(60 * codes)..(70 * codes)], engine.Generate(request with { Labels = Labels(100)[60..70], FirstIndex = 60 }));
    }

    /// <summary>As a training run with sample grids does, before its first step at patch side 1.</summary>
    [Fact]
    public void A_model_can_be_trained_after_it_generated()
    {
        using var scope = NewDisposeScope();
        using var model = TinyGpt.Create();
        using (var engine = new TorchGenerationEngine(model, ownsModel: false))
        {
            engine.Generate(new GenerationRequest { Labels = [0] });
        }

        model.train();
        var (labels, codes) = TinyGpt.Batch(TinyGpt.Config, 2);
        var hidden = model.PatchHidden(labels, codes, new MeanPatchGrouping(new PatchGeometry(TinyGpt.Config.GridSide, 1)));
        hidden.sum().backward();
        foreach (var (_, parameter) in model.named_parameters())
        {
            parameter.grad = null;
        }
    }

    [Fact]
    public void Seeds_reproduce_and_differ()
    {
        using var engine = new TorchGenerationEngine(TinyGpt.Create());
        var request = new GenerationRequest { Labels = Labels(4), Seed = 1 };
        Assert.Equal(engine.Generate(request), engine.Generate(request));
        Assert.NotEqual(engine.Generate(request), engine.Generate(request with { Seed = 2 }));
    }

    [Fact]
    public void Guidance_without_a_null_class_is_refused_with_the_way_out()
    {
        using var engine = new TorchGenerationEngine(TinyGpt.Create(TinyGpt.Config with { ClassDropout = 0 }));
        var error = Assert.Throws<ConfigException>(() => engine.Generate(new GenerationRequest { Labels = [0] }));
        Assert.Contains("GuidanceScale 1", error.Message, StringComparison.Ordinal);
        Assert.Equal(16, engine.Generate(new GenerationRequest { Labels = [0], Sampling = new SamplingConfig { GuidanceScale = 1 } }).Length);
    }

    [Fact]
    public void Unknown_classes_are_named()
    {
        using var engine = new TorchGenerationEngine(TinyGpt.Create());
        Assert.Contains(
            "class 3", Assert.Throws<ConfigException>(() => engine.Generate(new GenerationRequest { Labels = [0, 3] })).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Cancelling_stops_between_positions()
    {
        using var engine = new TorchGenerationEngine(TinyGpt.Create());
        using var cancellation = new CancellationTokenSource();
        cancellation.Cancel();
        Assert.Throws<OperationCanceledException>(() => engine.Generate(new GenerationRequest { Labels = [0] }, null, cancellation.Token));
    }
}
