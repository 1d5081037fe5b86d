using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Evaluation;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Tokenizers;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;
using NextPatch.Evaluation.Networks;
using NextPatch.Evaluation.Reconstruction;
using NextPatch.Models;
using NextPatch.Reconstruction;
using NextPatch.Torch;
using NextPatch.Torch.Perception;
using NextPatch.Torch.Tokenizer;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch tokenizer eval</c>: how well a tokenizer gives images back.</summary>
internal static class TokenizerEvalCommand
{
    public static Command Create()
    {
        var input = new TokenizerImageInput();
        var images = new Option<string>("--images")
        {
            Description = "A dataset (folder, .tar, .tar.gz, .zip, .npz, .csv, .jsonl, CIFAR or IDX files).", HelpName = "path", Required = true,
        };
        var lpips = new Option<string[]>("--lpips", "--perceptual")
        {
            Description = "Weights of a perceptual distance: VGG-16 and the heads of LPIPS, in one file or two, or the features of SqueezeNet 1.1.",
            HelpName = "file", AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [],
        };
        var perturbCodes = new Option<double?>("--perturb-codes")
        {
            Description = "Measure a second time with each code drawn anew with this probability (alpha): how well the decoder lives with a "
                + "generator's mistakes.", HelpName = "x",
        };
        var perturbNeighbours = new Option<int>("--perturb-neighbours")
        {
            Description = "Of how many nearest codes it is drawn (delta).", HelpName = "n", DefaultValueFactory = _ => 100,
        };
        var seed = new Option<ulong>("--seed") { Description = "Seed of --perturb-codes.", HelpName = "s", DefaultValueFactory = _ => 0 };
        var network = new Option<string?>("--network")
        {
            Description = "Features for Fréchet distances: inception, resnet20 (or another depth), mobilenet-v1-0.25-128, squeezenet-1.1. "
                + "[default: what --weights holds]", HelpName = "name",
        };
        var weights = new Option<string?>("--weights")
        {
            Description = "Weights of the feature network. [default: for inception those in the cache folder, for mobilenet-v1-0.25-128 those "
                + "built in]", HelpName = "file",
        };
        var resize = MeasureOptions.CreateResize();
        var json = new Option<bool>("--json")
        {
            Description = "Write JSON: psnr, ssim, codebookUsage, perplexity, lpips, rfid and pfid (rfd and pfd under other networks than "
                + "inception), count, imageSize, tokenizerHash and more.",
        };
        var command = new Command(
            "eval",
            """
            Encodes and decodes images and measures what comes back: PSNR and SSIM as means over images with the definitions of the
            published evaluation, share of the codebook in use, perplexity of the codes, and LPIPS where its weights are given. With a
            feature network also rFID, against the originals of the same images, and with perturbed codes pFID.

            Examples:
              nextpatch tokenizer eval --images imagenette.tar --tokenizer tok
              nextpatch tokenizer eval --images val --tokenizer vq_ds16_c2i.pt --image-size 256 --lpips vgg16.pth vgg_lpips.pth --json
              nextpatch tokenizer eval --images val --tokenizer tok --perturb-codes 0.5 --perturb-neighbours 100
              nextpatch tokenizer eval --images cifar10.tar.gz --tokenizer tok --network resnet20 --weights resnet20-cifar10.safetensors
            """) { images };
        input.AddTo(command);
        foreach (var option in (Option[])[lpips, perturbCodes, perturbNeighbours, network, weights, resize, seed, json])
        {
            command.Add(option);
        }

        command.SetAction((parsed, cancellation) =>
        {
            var terminal = Terminal.From(parsed);
            // pFID perturbs latents, and LPIPS needs libtorch anyway.
            using var tokenizer = input.Load(parsed, input.PathOf(parsed), backend: new TorchBackend());
            var perturbation = parsed.GetValue(perturbCodes) is { } share
                ? new LatentPerturbationConfig { ImageShare = 1, CodeShare = share, Neighbours = parsed.GetValue(perturbNeighbours), EndRatio = 1 }
                : null;
            perturbation?.Validate(tokenizer.Config.CodebookSize);
            using var perception = PerceptualWeights.Open(parsed.GetRequiredValue(lpips));
            using var parts = DatasetReader.OpenParts(parsed.GetRequiredValue(images), cancellation);
            var source = input.Choose(parsed, parts);
            if (LeftOutFiles.Describe(parts.Train.Name, parts.Train.LeftOut) is { } leftOut)
            {
                terminal.WriteNote(leftOut);
            }

            var stream = new ReconstructionStream(tokenizer, source, input.OnErrorOf(parsed));
            using var features = parsed.GetValue(network) is null && parsed.GetValue(weights) is null
                ? null
                : FeatureNetworks.Open(parsed.GetValue(network), parsed.GetValue(weights), MeasureOptions.Resize(parsed, resize));
            var evaluator = new TokenizerEvaluator(
                ((TorchTokenizer)tokenizer).Network, perception, perturbation, parsed.GetValue(seed),
                features is null ? null : new ReconstructionDistance(features));
            var hash = WeightsHash.ComputeForTokenizer(input.PathOf(parsed));
            TokenizerEvaluation result;
            using (var progress = terminal.CreateProgress())
            {
                result = evaluator.Run(
                    stream, parts.Train.Name, input.PartOf(parsed, parts), hash, progress.For("Reconstructing", source.Count), cancellation);
            }

            if (parsed.GetValue(json))
            {
                terminal.WriteJson(result);
            }
            else
            {
                TokenizerTable.Write(terminal, result);
            }

            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }
}
