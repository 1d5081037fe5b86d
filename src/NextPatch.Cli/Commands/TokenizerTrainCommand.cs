using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Tokenizers;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch tokenizer train</c>: a VQ tokenizer on images.</summary>
internal static class TokenizerTrainCommand
{
    public static Command Create()
    {
        var options = new TokenizerTrainOptions();
        var command = new Command(
            "train",
            """
            Trains a VQ tokenizer on images: encoder, codebook, decoder. Ctrl+C finishes the step, writes a checkpoint and exits with
            130; --resume RUN continues, and ends with the same bytes as a run that was never stopped. Images are decoded ahead of
            need; small ones once.

            The loss: pixels (--reconstruction), what a pretrained network sees (--perceptual), codebook and commitment, and from
            --discriminator-start on a discriminator. Held-out images are judged every --validate-every steps.

            Examples:
              nextpatch tokenizer train --images photographs --output tok --image-size 64 --channels 64 --multipliers 1,2 --codebook-size 2048
              nextpatch tokenizer train --images cifar10.tar.gz --output tok --image-size 32 --codebook-size 1024 --epochs 20
              nextpatch tokenizer train --images imagenet --output vq16 --preset VQ-16 --image-size 256 --batch-size 128 --lr 1e-4 --epochs 40
                  --reconstruction l2 --perceptual vgg16.pth vgg_lpips.pth --discriminator patchgan --discriminator-start 20000
              nextpatch tokenizer train --resume tok
              nextpatch tokenizer train --config recipes/cifar10-tokenizer.json --steps 8000
              nextpatch tokenizer train --images faces --output fine --image-size 256 --init-from vq_ds16_c2i.pt --lr 1e-5 --steps 2000

            The output folder is the tokenizer (config.json, model.safetensors), for encode and sample --tokenizer. Beside it:
            step-00000500/ (checkpoints), latest, metrics.jsonl, tensorboard/, reconstructions/ (originals above what came
            back), report.html, options.json (what --resume RUN continues with).
            """);
        options.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            using var progress = Terminal.From(parsed).CreateProgress();
            using var outlives = StopSignals.OutliveTerminal();
            var isComplete = new TokenizerTrainJob(options, parsed, progress).Run(cancellation);
            return Task.FromResult(isComplete ? ExitCode.Success : ExitCode.Cancelled);
        });
        return command;
    }
}
