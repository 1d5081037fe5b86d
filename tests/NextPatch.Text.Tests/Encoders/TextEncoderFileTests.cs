using System.Text.Json.Nodes;
using NextPatch.Core;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Tensors;
using NextPatch.Text.Encoders;
using NextPatch.Text.Features;
using NextPatch.Text.Tests.Tokens;

namespace NextPatch.Text.Tests.Encoders;

/// <summary>Weights of a T5 in the files that people have: one file or several, float32 and bfloat16, safetensors and PyTorch.</summary>
public sealed class TextEncoderFileTests : IDisposable
{
    private const int Width = 16, Heads = 2, HeadWidth = 8, Hidden = 24, Vocabulary = 12;
    private const string Caption = "ab a b ab zz";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Every_format_gives_the_same_features(bool isGated)
    {
        var tensors = Tensors(isGated);
        var expected = new T5Encoder(tensors, "memory").Encode([Tokens()]);
        SafetensorsFile.Write(Model("one/model.safetensors"), tensors);
        WriteShards(tensors);
        PyTorchFile.Write(Model("pt/t5.pt"), tensors.ToDictionary(p => (object)p.Key, p => (object?)p.Value));
        PyTorchFile.Write(Model("bin/pytorch_model.bin"), tensors.ToDictionary(p => (object)p.Key, p => (object?)p.Value));

        Assert.Equal(expected, Features("one"));
        Assert.Equal(expected, Features("one/model.safetensors"));
        Assert.Equal(expected, Features("shards"));
        Assert.Equal(expected, Features("shards/model.safetensors.index.json"));
        Assert.Equal(expected, Features("pt/t5.pt"));
        Assert.Equal(expected, Features("bin"));
    }

    /// <summary>From the file to the folder of features: bfloat16 weights in several files, as flan-t5-xl comes.</summary>
    [Fact]
    public void Bfloat16_in_several_files_gives_the_features_of_its_values_end_to_end()
    {
        var halves = Tensors(isGated: true).ToDictionary(p => p.Key, p => p.Value.As(ElementType.BFloat16));
        WriteShards(halves);
        var wide = halves.ToDictionary(p => p.Key, p => p.Value.As(ElementType.Float32));
        File.WriteAllText(_folder["c.txt"], Caption + "\n");
        TextEncoding.Run(new TextEncodingOptions
        {
            Captions = _folder["c.txt"], Encoder = _folder["shards"], Output = _folder["out"], Clean = CaptionCleaning.None,
        }, null, default);

        using var store = FeatureStore.Open(_folder["out"]);
        var features = new float[store.Length(0) * store.Width];
        store.Read(0, features);
        Assert.Equal(new T5Encoder(wide, "memory").Encode([Tokens()]), features);
        var origin = FeatureFolder.OriginOf(_folder["out"]);
        Assert.Equal((_folder["shards"], _folder["shards/spiece.model"]), (origin.EncoderPath, origin.TokenizerPath));
        Assert.Equal(64, origin.EncoderHash!.Length);
    }

    [Fact]
    public void A_shard_that_is_missing_or_a_tokenizer_of_another_encoder_is_named()
    {
        WriteShards(Tensors(isGated: true));
        File.Delete(_folder["shards/model-00002-of-00002.safetensors"]);
        Assert.Contains("model-00002-of-00002", Assert.ThrowsAny<NextPatchException>(() => TextEncoder.Open(_folder["shards"])).Message,
            StringComparison.Ordinal);

        SafetensorsFile.Write(Model("small/model.safetensors"), Tensors(isGated: true, vocabulary: 4));
        void Refused(string words) => Assert.Contains(
            words, Assert.Throws<NextPatchException>(() => TextEncoder.Open(_folder["small"])).Message, StringComparison.Ordinal);
        Refused("not belong together");
        File.Delete(_folder["small/spiece.model"]);
        Refused("spiece.model");
    }

    private float[] Features(string path)
    {
        using var encoder = TextEncoder.Open(_folder[path]);
        return encoder.Encode([encoder.Tokens(Caption, 100, out _)]);
    }

    private int[] Tokens()
    {
        File.WriteAllBytes(_folder["tokens.model"], ModelBytes.Small());
        return Text.Tokens.UnigramTokenizer.Open(_folder["tokens.model"]).Encode(Caption);
    }

    /// <summary>Where weights go, the tokenizer beside them.</summary>
    private string Model(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_folder[path])!);
        File.WriteAllBytes(Path.Combine(Path.GetDirectoryName(_folder[path])!, "spiece.model"), ModelBytes.Small());
        return _folder[path];
    }

    private void WriteShards(Dictionary<string, StoredTensor> tensors)
    {
        var map = new JsonObject();
        foreach (var (i, part) in tensors.Chunk((tensors.Count + 1) / 2).Index())
        {
            var name = $"model-{i + 1:D5}-of-00002.safetensors";
            SafetensorsFile.Write(Model("shards/" + name), part.ToDictionary(p => p.Key, p => p.Value));
            foreach (var (key, _) in part)
            {
                map[key] = name;
            }
        }

        File.WriteAllText(
            _folder["shards/model.safetensors.index.json"],
            new JsonObject { ["metadata"] = new JsonObject(), ["weight_map"] = map }.ToJsonString());
    }

    private static Dictionary<string, StoredTensor> Tensors(bool isGated, int vocabulary = Vocabulary)
    {
        var shape = new T5Config(vocabulary, Width, 2, Heads, HeadWidth, Hidden, 32, isGated);
        var tensors = shape.Shapes().ToDictionary(
            p => p.Key, p => FormulaTensors.Make(p.Key, p.Value.Length == 1 ? 0.3f : 0.4f, p.Value.Length == 1 ? 1 : 0, p.Value));
        tensors[T5Config.Embedding] = FormulaTensors.Make(T5Config.Embedding, 1, 0, vocabulary, Width);
        return tensors;
    }
}
