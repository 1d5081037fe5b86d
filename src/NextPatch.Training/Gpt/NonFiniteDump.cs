using System.Text.Json;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Patches;
using NextPatch.Core.Tensors;
using NextPatch.Data.Codes;

namespace NextPatch.Training.Gpt;

/// <summary>What a person needs to look into a step whose loss is not a number: the batch and the numbers around it.</summary>
internal static class NonFiniteDump
{
    /// <returns>The dump's folder.</returns>
    public static string Write(
        string run, long step, double loss, double norm, double learningRate, PatchStage stage, BatchSource batches, CodeStore store, long place,
        int batchSize)
    {
        var folder = Path.Combine(run, $"nan-step-{step:D8}");
        Directory.CreateDirectory(folder);
        var codes = new long[(long)batchSize * store.CodesPerImage];
        var labels = new long[batchSize];
        batches.Fill(place, codes, labels);
        NpyFile.Write(Path.Combine(folder, "codes.npy"), HostTensor.From<long>(ElementType.Int64, [batchSize, store.CodesPerImage], codes));
        NpyFile.Write(Path.Combine(folder, "labels.npy"), HostTensor.From<long>(ElementType.Int64, [batchSize], labels));
        using var stream = File.Create(Path.Combine(folder, "step.json"));
        using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true });
        json.WriteStartObject();
        json.WriteNumber("step", step);
        json.WriteString("loss", loss.ToString("R"));
        json.WriteString("gradientNorm", norm.ToString("R"));
        json.WriteNumber("learningRate", learningRate);
        json.WriteNumber("patchSide", stage.PatchSide);
        json.WriteStartArray("images");
        for (var i = 0; i < batchSize; i++)
        {
            json.WriteNumberValue(batches.ImageAt(place + i));
        }

        json.WriteEndArray();
        json.WriteEndObject();
        return folder;
    }
}
