// The program that tests/outside.sh builds in an empty folder against the packages: it draws, then says whether its TorchSharp is the safe one.
// Arguments: a trained model, its tokenizer.
using System.Diagnostics;
using NextPatch;

var watch = Stopwatch.StartNew();
using var generator = ImageGenerator.Load(args[0], new() { Tokenizer = args[1] });
await foreach (var image in generator.GenerateAsync(new() { Classes = ["heart"], Count = 2, Seed = 7 }, CancellationToken.None))
{
    if (image.Index == 0)
    {
        Console.WriteLine($"first image after {watch.Elapsed.TotalSeconds:0.0} s");
    }

    image.SavePng($"{image.Index}.png");
}

return Safety.Check();
