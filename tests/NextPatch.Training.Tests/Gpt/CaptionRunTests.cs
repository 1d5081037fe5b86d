using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using NextPatch.Data.Codes;
using NextPatch.Text.Features;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using NextPatch.Training.Gpt;

namespace NextPatch.Training.Tests.Gpt;

/// <summary>Runs whose condition is captions: what is trained on, what is left out, what is kept.</summary>
[NoTensorLeaks]
public sealed class CaptionRunTests
{
    private const string Unconditional = "cls_embedding.uncond_embedding";

    private static readonly string[] Words = ["a red cat", "the large blue dog of my neighbour", "tree"];

    /// <summary>Stopped in the coarse stage and in the fine one, with every dropout and a mixture of captions.</summary>
    [Theory]
    [InlineData(3, StepImplementation.Reference)]
    [InlineData(9, StepImplementation.Fused)]
    public void A_resumed_run_ends_with_the_same_bytes(long stopAfter, StepImplementation step)
    {
        using var folder = new TemporaryFolder();
        var request = Request(folder, step);
        var whole = Run(request, folder["whole"]);
        using var stop = new CancellationTokenSource();
        Assert.Equal(stopAfter, Run(request, folder["parts"], stop, stopAfter).Step);

        var resumed = GptTraining.Run(GptTraining.Continue(folder["parts"]));

        foreach (var file in (string[])["model", "ema", "optimizer"])
        {
            Assert.Equal(TinyRun.Weights(whole.Checkpoint!, file), TinyRun.Weights(resumed.Checkpoint!, file));
        }
    }

    [Fact]
    public void Both_steps_train_the_same()
    {
        using var folder = new TemporaryFolder();
        var fused = Run(Request(folder, StepImplementation.Fused), folder["fused"]);
        var reference = Run(Request(folder, StepImplementation.Reference), folder["reference"]);
        Assert.Equal(reference.ValidationLoss!.Value, fused.ValidationLoss!.Value, 1e-4);
        Assert.Equal(reference.AverageValidationLoss!.Value, fused.AverageValidationLoss!.Value, 1e-4);
    }

    /// <summary>Guidance needs the very features that stood for no caption in training, in the average too; nothing trains them.</summary>
    [Fact]
    public void Unconditional_features_stay_as_they_were_drawn()
    {
        using var folder = new TemporaryFolder();
        var request = Request(folder) with { Training = TinyRun.Training with { Steps = 2 } };
        var run = Run(request, folder["run"]);
        var longer = Run(request with { Training = TinyRun.Training with { Steps = 9 } }, folder["longer"]);

        HostTensor Read(TrainingResult result, string file)
            => SafetensorsFile.Read(Path.Combine(result.Checkpoint!, file + ".safetensors"))[Unconditional];

        var drawn = Read(run, "model").ToSingles();
        Assert.Equal([7L, 128L], Read(run, "model").Shape);
        Assert.Equal(1 / Math.Sqrt(128), Math.Sqrt(drawn.Average(v => v * v)), 0.01);
        Assert.All((string[])["model", "ema"], file => Assert.Equal(drawn, Read(longer, file).ToSingles()));
        Assert.DoesNotContain(
            SafetensorsFile.Read(Path.Combine(run.Checkpoint!, "optimizer.safetensors")).Keys,
            key => key.Contains(Unconditional, StringComparison.Ordinal));
        var config = CheckpointConfig.Read(Path.Combine(run.Checkpoint!, "config.json"));
        Assert.Equal(new TextCondition { FeatureWidth = 128, TokenCount = 7 }, config.Model.Text);
        Assert.Equal(("formula-v1", 0.7, 0.3), (config.TextFeatures![0].EncoderHash, config.TextFeatures[0].Share, config.TextFeatures[1].Share));
    }

    /// <summary>From 256 to 512 pixels: the grid is larger, weights and unconditional features are taken over, moments are not.</summary>
    [Fact]
    public void Weights_start_a_run_on_a_larger_grid()
    {
        using var folder = new TemporaryFolder();
        var run = Run(Request(folder) with { Training = TinyRun.Training with { Steps = 2 } }, folder["run"]);
        var config = CheckpointConfig.Read(Path.Combine(run.Checkpoint!, "config.json")).Model;
        using var model = new GptModel(config with { GridSide = 2 * config.GridSide });

        InitialWeights.Load(folder["run"], model, seed: 1);

        var average = SafetensorsFile.Read(Path.Combine(run.Checkpoint!, "ema.safetensors"));
        Assert.All(StateLoader.Capture(model), p => Assert.Equal(average[p.Key].ToSingles(), p.Value.ToSingles()));
    }

    /// <summary>Codes follow from the caption, so a model that reads it must beat one whose captions are all dropped.</summary>
    [Fact]
    public void Captions_are_learned_from()
    {
        using var folder = new TemporaryFolder();
        var request = Request(folder) with { Training = TinyRun.Training with { Steps = 60, PatchLevel = 1 } };
        request = request with
        {
            Model = request.Model with { TokenDropout = 0, ResidualDropout = 0, FfnDropout = 0, AttentionDropout = 0, ClassDropout = 0.01 },
        };
        var read = Run(request, folder["read"]);
        var dropped = Run(request with { Model = request.Model with { ClassDropout = 0.99 } }, folder["dropped"]);
        Assert.True(read.ValidationLoss < 0.7 * dropped.ValidationLoss, $"{read.ValidationLoss} {dropped.ValidationLoss}");
    }

    [Fact]
    public void Images_without_a_caption_are_never_drawn_and_counted_by_reason()
    {
        using var folder = new TemporaryFolder();
        var notes = new List<string>();
        var request = Request(folder);
        using var store = CodeStore.Open(request.Codes);
        using var captions = TrainingCaptions.Open(store, request.TextFeatures);

        // Captions 4 and 38 are blank in both files; image 10 has no line.
        Assert.Equal([2, 1], ((string[])["no features", "no line of captions"]).Select(reason => captions.LeftOut[reason]));
        Assert.Equal(Enumerable.Range(0, 32).Except([4, 10]), captions.Training);
        Assert.Equal(Enumerable.Range(32, 8).Except([38]), captions.HeldOut);
        var source = new BatchSource(store, TinyRun.Model with { Text = new TextCondition { FeatureWidth = 128, TokenCount = 7 } }, 3, captions);
        Assert.Equal(captions.Training, Enumerable.Range(0, 30).Select(place => source.ImageAt(place)).Order());

        Run(request with { Run = request.Run with { OnNote = notes.Add } }, folder["run"]);
        Assert.Contains(notes, note => note.StartsWith("3 of 40 images are left out: 2 with no features, 1 with no line", StringComparison.Ordinal));
    }

    /// <summary>70 of 100 captions are long ones; one of an image without a short caption always is.</summary>
    [Fact]
    public void Captions_are_mixed_by_their_shares()
    {
        using var folder = new TemporaryFolder();
        var request = Request(folder);
        using var store = CodeStore.Open(request.Codes);
        using var captions = TrainingCaptions.Open(store, request.TextFeatures);
        int[] images = [.. Enumerable.Repeat(0, 1000)];
        var lengths = captions.Read(images, i => i / 1000.0, new bool[1000]).Lengths;
        Assert.Equal([4, 2], lengths.Distinct()); // "a red cat" and its end; "cat" and its end
        Assert.Equal(700, lengths.Count(l => l == 4));
        Assert.Equal(7, captions.Read([1], _ => 0, [false]).Lengths[0]);
        Assert.Equal([4], captions.Read([3], _ => 0.99, [false]).Lengths); // caption 3 has no short form
        var batch = captions.Read([0, 2], _ => 0, [false, false]);        // "a red cat", "tree"
        Assert.Equal([4, 2], batch.Lengths);
        Assert.All(batch.Features[(4 * 128)..(6 * 128)], value => Assert.Equal(0f, value)); // padded on the left
        Assert.Contains(batch.Features[(6 * 128)..], value => value != 0);
    }

    [Fact]
    public void Features_that_do_not_belong_are_refused()
    {
        using var folder = new TemporaryFolder();
        var request = Request(folder);
        using var store = CodeStore.Open(request.Codes);
        string Refusal(params TextFeatureSet[] sets)
            => Assert.Throws<ConfigException>(() => TrainingCaptions.Open(store, sets).Dispose()).Message;

        File.WriteAllText(folder["other.jsonl"], """{"text": "something else"}""");
        Encode(folder["other.jsonl"], folder["other"], 0);
        Assert.Contains("belong to other captions (1, SHA-256", Refusal(new TextFeatureSet(folder["other"])), StringComparison.Ordinal);
        Encode(folder["captions.jsonl"], folder["plain"], 0, CaptionCleaning.None);
        Assert.Contains("another encoder or another cleaning", Refusal(new(folder["long"]), new(folder["plain"])), StringComparison.Ordinal);
        Assert.Contains("must be a number above 0", Refusal(new TextFeatureSet(folder["long"], -1)), StringComparison.Ordinal);
        WriteWidth(folder["wide"], 64);
        Assert.Contains("have 64 numbers per token, those in", Refusal(new(folder["long"]), new(folder["wide"])), StringComparison.Ordinal);
        using var plain = CodeStore.Open(TinyRun.WriteCodes(folder["classes"]));
        Assert.Contains(
            "do not say which caption", Assert.Throws<ConfigException>(() => TrainingCaptions.Open(plain, request.TextFeatures)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Published_files_of_features_train_the_same_and_mixed_widths_are_refused()
    {
        using var folder = new TemporaryFolder();
        var request = Request(folder);
        TextEncoding.Run(
            new TextEncodingOptions
            {
                Captions = folder["captions.jsonl"],
                Encoder = "formula",
                Output = folder["published"],
                Layout = FeatureLayout.Published,
                MaxTokens = 7,
            }, null, CancellationToken.None);
        using var store = CodeStore.Open(request.Codes);
        using (TrainingCaptions published = TrainingCaptions.Open(store, [new(folder["published"])]),
            own = TrainingCaptions.Open(store, [new(folder["long"])]))
        {
            Assert.Equal(own.Training, published.Training);
            Assert.Equal(own.Read([0, 1, 2], null, new bool[3]).Features, published.Read([0, 1, 2], null, new bool[3]).Features);
            NpyFile.Write(
                Path.Combine(folder["published"], "captions", "1.npy"), HostTensor.FromSingles([1, 6, 128], [.. Enumerable.Repeat(float.NaN, 768)]));
            Assert.Throws<DataFormatException>(() => published.Read([1], null, [false]));
        }

        NpyFile.Write(Path.Combine(folder["published"], "captions", "1.npy"), HostTensor.FromSingles([1, 2, 64], new float[128]));
        var error = Assert.Throws<DataFormatException>(() => TrainingCaptions.Open(store, [new(folder["published"])]));
        Assert.Contains("64 and 128 numbers per token", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Held_out_captions_are_drawn_first_then_those_of_all_images_that_are_trained_on()
    {
        using var folder = new TemporaryFolder();
        var request = Request(folder);
        using var store = CodeStore.Open(request.Codes);
        using var captions = TrainingCaptions.Open(store, request.TextFeatures);
        var heldOut = captions.HeldOut.Count;

        Assert.Equal(captions.HeldOut.Take(2).Select(Name), captions.Prompts(2).Select(p => p.Text));
        var prompts = captions.Prompts(heldOut + 2);
        Assert.Equal(
            captions.HeldOut.Append(captions.Training[0]).Append(captions.Training[captions.Training.Count / 2]).Select(Name),
            prompts.Select(p => p.Text));
        Assert.Equal(captions.Read([captions.Training[0]], null, [false]).Features, prompts[heldOut].Values.ToArray());
        Assert.Equal(captions.HeldOut.Count + captions.Training.Count, captions.Prompts(1000).Count);

        string Name(int image) => $"caption {store.CaptionLine(image) + 1}";
    }

    /// <summary>40 images with codes and captions of three kinds.</summary>
    private static GptTrainingRequest Request(TemporaryFolder folder, StepImplementation step = StepImplementation.Fused)
    {
        var lines = Enumerable.Range(0, 40).Select(i => i is 4 or 38 ? "" : i == 3
            ? $$"""{"text": ["{{Words[i % 3]}}"]}""" : $$"""{"text": ["{{Words[i % 3]}}", "{{Words[i % 3].Split(' ')[^1]}}"]}""");
        File.WriteAllLines(folder["captions.jsonl"], lines);
        Encode(folder["captions.jsonl"], folder["long"], 0);
        Encode(folder["captions.jsonl"], folder["short"], 1);
        using (var store = CodeStore.Open(TinyRun.WriteCodes(folder["plain-codes"])))
        {
            var (codes, row) = (new List<int>(), new int[16]);
            for (var i = 0; i < store.Count; i++)
            {
                store.ReadCodes(i, 0, row);
                codes.AddRange(row);
            }

            CodeStoreWriter.Write(
                folder["codes"], store.Manifest with
                {
                    Captions = new CaptionLines
                    {
                        Hash = CaptionFile.HashOf(folder["captions.jsonl"]), Files = [KeyValuePair.Create("captions", 40)],
                    },
                },
                [.. codes], [.. Enumerable.Range(0, 40).Select(store.Label)], [.. Enumerable.Range(0, 40).Select(i => i == 10 ? -1 : i)]);
        }

        return new GptTrainingRequest
        {
            Codes = folder["codes"],
            TextFeatures = [new(folder["long"], 0.7), new(folder["short"], 0.3)],
            Model = TinyRun.Model,
            Training = TinyRun.Training with { StepImplementation = step, MicroBatch = 3 },
            Run = new GptRunOptions { Output = "" },
        };
    }

    private static void Encode(string captions, string output, int index, CaptionCleaning clean = CaptionCleaning.Published) => TextEncoding.Run(
        new TextEncodingOptions { Captions = captions, Encoder = "formula", Output = output, CaptionIndex = index, Clean = clean, MaxTokens = 7 },
        null, CancellationToken.None);

    /// <summary>Features of 40 captions, without a word about where they come from.</summary>
    private static void WriteWidth(string folder, int width)
    {
        Directory.CreateDirectory(folder);
        NpyFile.Write(Path.Combine(folder, FeatureStore.Features), HostTensor.FromSingles([40, width], new float[40 * width]));
        NpyFile.Write(
            Path.Combine(folder, FeatureStore.Offsets),
            HostTensor.From<long>(ElementType.Int64, [41], [.. Enumerable.Range(0, 41).Select(i => (long)i)]));
        NpyFile.Write(Path.Combine(folder, FeatureStore.Hashes), HostTensor.From<ulong>(ElementType.UInt64, [40], new ulong[40]));
    }

    private static TrainingResult Run(
        GptTrainingRequest request, string output, CancellationTokenSource? stop = null, long stopAfter = -1)
        => GptTraining.Run(
            request with
            {
                Run = request.Run with { Output = output, LogEvery = 1, OnProgress = p => (p.Step == stopAfter ? stop : null)?.Cancel() },
            }, null, stop?.Token ?? CancellationToken.None);
}
