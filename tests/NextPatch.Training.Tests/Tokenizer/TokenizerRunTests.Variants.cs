using System.Text.Json;
using System.Text.Json.Nodes;
using NextPatch.Core.Configuration;
using NextPatch.Torch.Tokenizer;
using NextPatch.Training.Tokenizer;
using TorchSharp;

namespace NextPatch.Training.Tests.Tokenizer;

// Memory, and the kinds of runs that the tests are about.
public sealed partial class TokenizerRunTests
{
    [Theory]
    [InlineData("plain")]
    [InlineData("bf16")]
    public void Memory_does_not_grow(string kind)
    {
        using var folder = new TemporaryFolder();
        var live = new List<long>();
        TinyTokenizerRun.Train(TinyTokenizerRun.WriteImages(folder["data"]), new TokenizerRunOptions
        {
            Output = folder["run"], CheckpointEvery = 50, ValidateEvery = 40,
            OnProgress = _ => { GC.Collect(); live.Add(DisposeScopeManager.Statistics.ThreadTotalLiveCount); },
        }, c => Changed(c, kind) with { Steps = 200 });
        Assert.Single(live.Skip(100).Distinct());
    }

    private static TokenizerRunConfig Changed(TokenizerRunConfig config, string kind) => kind switch
    {
        "bf16" => config with { Precision = ComputePrecision.Bf16 },
        "bf16 discriminator" => Changed(Changed(config, "bf16"), "discriminator"),
        "without average" => config with { Objective = config.Objective with { EmaDecay = 0 } },
        "perception and perturbation" => config with
        {
            Perturbation = new LatentPerturbationConfig { ImageShare = 0.5, Neighbours = 4, AnnealStart = 2, AnnealEnd = 20 },
        },
        "discriminator" => config with
        {
            Discriminator = DiscriminatorKind.StyleGan,
            Steps = 8,
            Objective = config.Objective with { DiscriminatorStart = 5, IsAdaptive = true },
        },
        _ => config,
    };

    /// <summary>Notes the type of what it is given.</summary>
    private sealed class TypeDiscriminator : torch.nn.Module<torch.Tensor, torch.Tensor>
    {
        private readonly TorchSharp.Modules.Parameter _weight = torch.nn.Parameter(torch.ones(1));

        public TypeDiscriminator()
            : base(nameof(TypeDiscriminator))
            => RegisterComponents();

        public List<torch.ScalarType> Seen { get; } = [];

        public override torch.Tensor forward(torch.Tensor images)
        {
            Seen.Add(images.dtype);
            return images * _weight;
        }
    }

    /// <summary>The lines of metrics without what depends on the clock.</summary>
    private static List<string> Lines(string run) => [.. File.ReadLines(Path.Combine(run, "metrics.jsonl")).Select(line =>
    {
        var json = JsonNode.Parse(line)!.AsObject();
        json.Remove("imagesPerSecond");
        json.Remove("dataWaitShare");
        return json.ToJsonString(new JsonSerializerOptions());
    })];
}
