using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Generation;
using NextPatch.Core.Tensors;
using NextPatch.Cpu.Generation;
using NextPatch.Cpu.Gpt;

namespace NextPatch.Cpu.Tests.Gpt;

/// <summary>Weights that are used where they lie in a file.</summary>
[NoTensorLeaks]
public sealed class MappedWeightsTests
{
    [Theory]
    [InlineData("even")]
    [InlineData("odd")]
    public void Codes_are_those_of_weights_that_are_packed_and_the_file_may_go(string name)
    {
        var config = SmallGpt.Named(name);
        var state = SmallGpt.State(config);
        var request = new GenerationRequest { Labels = [0, 1, 2], Seed = 4 };
        using var packed = CpuGenerationEngine.Open(state, config, "test", WeightStorage.Int8, threads: 2);
        using var folder = new TemporaryFolder();
        Write(folder["model.safetensors"], state);

        CpuGenerationEngine mapped;
        using (var file = WeightsFile.Open(folder["model.safetensors"]))
        {
            mapped = CpuGenerationEngine.Open(file, config, WeightStorage.Int8, threads: 2);
        }

        using (mapped)
        {
            if (!OperatingSystem.IsWindows())
            {
                // As every writer here replaces a file: the other one takes the name, the mapped one lives on.
                File.WriteAllText(folder["other"], "another file");
                File.Move(folder["other"], folder["model.safetensors"], overwrite: true);
            }

            Assert.Equal(packed.Generate(request), mapped.Generate(request));
        }
    }

    /// <summary>A model of 60 MB opens without memory of its own for its matrices.</summary>
    [Fact]
    public void Matrices_take_no_memory_of_the_process()
    {
        var config = SmallGpt.Even with { Width = 1024, LayerCount = 4, HeadCount = 8, VocabularySize = 8192, FfnMultipleOf = 256 };
        var zeros = GptState.Shapes(config).ToDictionary(p => p.Key, p => StoredTensor.Generate(p.Value, (_, values) => values.Fill(0.01f)));
        using var folder = new TemporaryFolder();
        Write(folder["model.safetensors"], zeros);
        using var file = WeightsFile.Open(folder["model.safetensors"]);
        GC.Collect(); // what writing left behind must not be counted, nor freed meanwhile
        var before = Anonymous();
        using var decoder = GptDecoders.Create(config, file.Tensors, WeightStorage.Int8, maxRows: 2, threads: 1);
        decoder.Run([new DecodeRow(decoder.TakeSlot(), 0, 0)]);
        Assert.True(new FileInfo(folder["model.safetensors"]).Length > 50_000_000);
        Assert.InRange(Anonymous() - before, long.MinValue, 40_000_000); // packed, they would be above 60
    }

    [Fact]
    public void Scales_that_are_no_numbers_are_said_where_they_are_met()
    {
        var config = SmallGpt.Even;
        var state = SmallGpt.State(config);
        using var folder = new TemporaryFolder();
        Write(folder["model.safetensors"], state);
        var scales = SafetensorsFile.ReadHeader(folder["model.safetensors"]).Entries[GptState.Head + Int8Panels.ScaleSuffix];
        using (var stream = File.OpenWrite(folder["model.safetensors"]))
        {
            stream.Position = scales.Offset;
            stream.Write([0, 0, 0xC0, 0x7F]); // NaN, little-endian
        }

        using var file = WeightsFile.Open(folder["model.safetensors"]);
        using var engine = CpuGenerationEngine.Open(file, config, WeightStorage.Int8, threads: 1);
        var error = Assert.Throws<NextPatchException>(() => engine.Generate(new GenerationRequest { Labels = [0] }));
        Assert.Contains("position 0", error.Message, StringComparison.Ordinal);
    }

    private static void Write(string path, IReadOnlyDictionary<string, StoredTensor> state)
    {
        var matrices = state.Where(t => t.Value.Shape.Count == 2 && t.Key is not (GptState.Classes or GptState.Codes)).ToList();
        var parts = matrices.ConvertAll(m => (m.Key, Parts: Int8Panels.Quantize(m.Value)));
        SafetensorsFile.Write(
            path,
            [
                .. parts.Select(p => KeyValuePair.Create(p.Key + Int8Panels.Suffix, p.Parts.Panels)),
                .. parts.Select(p => KeyValuePair.Create(p.Key + Int8Panels.ScaleSuffix, p.Parts.Scales)),
                .. state.Except(matrices).Select(t => KeyValuePair.Create(t.Key, t.Value)),
            ],
            new Dictionary<string, string> { [Int8Panels.MetadataKey] = Int8Panels.Describe(matrices) });
    }

    private static long Anonymous() => OperatingSystem.IsLinux()
        ? long.Parse(
            File.ReadLines("/proc/self/status").First(line => line.StartsWith("RssAnon:", StringComparison.Ordinal))
                .Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1],
            System.Globalization.CultureInfo.InvariantCulture) * 1024
        : 0;
}
