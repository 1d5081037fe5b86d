using NextPatch;

/// <summary>The C# lines of README.md, compiled and not run: its files are not here. ReadmeSnippetTests compares them.</summary>
internal static class Readme
{
    public static async Task Run(CancellationToken cancellation)
    {
        using var generator = ImageGenerator.Load("c2i_B_256.pt", new() { Tokenizer = "vq_ds16_c2i.pt" }); // or a run, a Hugging Face folder
        await foreach (var image in generator.GenerateAsync(new() { Classes = ["golden retriever"], Count = 8, Seed = 7 }, cancellation))
            image.SavePng($"{image.Index}.png");

        CodeExtractor.Run(new() { Images = "photographs", Tokenizer = "vq_ds16_c2i.pt", Output = "codes" }, cancellation: cancellation);
        using var tokenizer = ImageTokenizer.Load("vq_ds16_c2i.pt");
        tokenizer.Reconstruct("photograph.jpg").SavePng("back.png");
        WeightsConverter.Convert("c2i_B_256.pt", "c2i_B_256.safetensors", cancellation: cancellation);
    }
}
