// Draws one image with NextPatch.Cpu alone, as one native file: draw-one MODEL_FOLDER CLASS IMAGE.png
using System.Diagnostics;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;
using NextPatch.Cpu;

var started = Stopwatch.GetTimestamp();
var (model, tokenizerFolder) = (args[0], Path.Combine(args[0], "tokenizer"));
var config = CheckpointConfig.Read(Path.Combine(model, "config.json"));
using WeightsFile weights = WeightsFile.Open(model), tokenizerWeights = WeightsFile.Open(tokenizerFolder);
var backend = new CpuBackend();
using var engine = backend.OpenEngine(config.Model, weights);
using var tokenizer = backend.OpenTokenizer(TokenizerConfig.Read(tokenizerFolder, tokenizerWeights), tokenizerWeights);
var codes = engine.Generate(new GenerationRequest { Labels = [int.Parse(args[1])], Seed = 7 });
var side = tokenizer.Config.ImageSide;
new RgbImage(side, side, tokenizer.Decode(codes)).SavePng(args[2]);
Console.WriteLine($"{engine.Name}: {side}x{side} in {Stopwatch.GetElapsedTime(started).TotalMilliseconds:0} ms");
