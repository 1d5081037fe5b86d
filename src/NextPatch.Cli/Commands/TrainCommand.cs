using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Training;
using NextPatch.Training.Ranks;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch train</c>: a transformer on codes.</summary>
internal static class TrainCommand
{
    public static Command Create()
    {
        var options = new TrainOptions();
        var command = new Command(
            "train",
            """
            Trains a transformer coarse to fine on a folder of codes (codes.npy, labels.npy, dataset.json). Prints the planned cost
            before and the measured cost after. Ctrl+C finishes the step, writes a checkpoint and exits with 130; --resume RUN
            continues, and ends with the same bytes as a run that was never stopped. A closed terminal does not stop it. A damaged
            checkpoint is set aside in favour of the one before.

            Examples:
              nextpatch train --codes quickstart/codes --output run --steps 2400
              nextpatch train --codes imagenet-codes --output run-b --preset B --recipe paper --micro-batch 4 --checkpoint-every 1000
              nextpatch train --resume run
              nextpatch train --resume run --extend-to 4800
              nextpatch train --codes quickstart/codes --output run --steps 2400 --resume
              nextpatch train --config recipes/quickstart.json --batch-size 32

            In the output folder: step-00001200/ (config.json, model.safetensors, ema.safetensors, optimizer.safetensors, state.json,
            SHA256SUMS), latest, run.json (what --resume RUN continues with), metrics.jsonl, tensorboard/, samples/, report.html.
            """);
        options.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            var terminal = Terminal.From(parsed);
            using var outlives = StopSignals.OutliveTerminal();
            return Task.FromResult(RankBoundary.Run(parsed, options.Ranks, terminal, (ranks, own) =>
            {
                using var progress = own.CreateProgress();
                var result = new TrainingJob(options, parsed, progress, ranks).Run(cancellation);
                if (parsed.GetValue(options.Json))
                {
                    own.WriteJson(result.Outcome);
                }

                var requeue = ranks.AllGather(StopSignals.IsRequeue(ranks.Size) ? 1 : 0, "how the run was stopped").Any(r => r > 0);
                return result.IsComplete ? ExitCode.Success : requeue ? ExitCode.Requeue : ExitCode.Cancelled;
            }));
        });
        return command;
    }
}
