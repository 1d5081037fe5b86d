using System.Globalization;
using System.Text.RegularExpressions;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Patches;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Gpt.Fused;
using NextPatch.Torch.Loading;
using NextPatch.Training.Optimization;
using static TorchSharp.torch;

namespace NextPatch.Goldens.Cases;

/// <summary>A short training run across patch switches: losses, norms, rates, weights and both averages; then the same from the middle on.</summary>
internal static partial class TrainingRunCase
{
    public static void Run(CaseRun run)
    {
        var golden = run.Golden;
        var arrays = golden.Arrays();
        var final = golden.PathOf(golden.FileEnding(".final.pt"));
        foreach (var key in new[] { "ema_decay", "extra_ema_decay" })
        {
            using var scope = NewDisposeScope();
            using var session = new Session(golden, (double)golden.Config[key]!, golden.FileEnding(".init.pt"));
            session.Train(run, key, arrays, 0, arrays["x"].Shape[0]);
            Compare(run, $"{key} weights", StateLoader.Capture(session.Model), PyTorchFile.ReadStateDict(final, "model"));
            var average = key == "ema_decay"
                ? PyTorchFile.ReadStateDict(final, "ema")
                : arrays.Where(a => a.Key.StartsWith("ema_extra.", StringComparison.Ordinal))
                    .ToDictionary(a => a.Key["ema_extra.".Length..], a => a.Value);
            Compare(run, $"{key} average", session.Optimizer.CaptureAverage(), average);
        }

        if (golden.Files.Any(f => f.EndsWith(".mid.pt", StringComparison.Ordinal)))
        {
            using var scope = NewDisposeScope();
            using var session = new Session(golden, (double)golden.Config["ema_decay"]!, golden.FileEnding(".mid.pt"));
            session.Restore(golden.PathOf(golden.FileEnding(".mid.pt")));
            session.Train(run, "from the middle", arrays, (int)session.Optimizer.StepCount, arrays["x"].Shape[0]);
            Compare(run, "from the middle weights", StateLoader.Capture(session.Model), PyTorchFile.ReadStateDict(final, "model"));
            Compare(run, "from the middle average", session.Optimizer.CaptureAverage(), PyTorchFile.ReadStateDict(final, "ema"));
        }
    }

    private static void Compare(
        CaseRun run, string what, IEnumerable<KeyValuePair<string, HostTensor>> actual, IReadOnlyDictionary<string, HostTensor> golden)
    {
        var own = actual.ToDictionary(p => p.Key, p => p.Value);
        run.SameList($"{what}: names", own.Keys.Order(StringComparer.Ordinal), golden.Keys.Order(StringComparer.Ordinal));

        // Adam turns the rounding of a near-zero gradient into a whole step, so the manifest lets a share of elements stray by two.
        var share = OutlierShare().Match((string?)run.Golden.Entry["tolerance"]?["weights"]?["outliers"] ?? "");
        var outliers = share.Success ? double.Parse(share.Groups[1].Value, CultureInfo.InvariantCulture) / 100 : 0;
        foreach (var (name, expected) in golden)
        {
            run.Close($"{what} {name}", own[name].ToDoubles(), expected.ToDoubles(), expected.Shape, run.Golden.Tolerance("weights"), outliers,
                2 * (double)run.Golden.Config["lr"]!);
        }
    }

    [GeneratedRegex(@"up to ([0-9.]+)% of the elements to differ by at most 2\*lr")]
    private static partial Regex OutlierShare();

    /// <summary>A model with its optimiser and schedules.</summary>
    private sealed class Session : IDisposable
    {
        private readonly GoldenCase _golden;
        private readonly PatchSchedule _stages;
        private readonly LearningRateSchedule _rate;
        private readonly FusedGpt _pass;

        public Session(GoldenCase golden, double averageDecay, string weights)
        {
            _golden = golden;
            var (config, images) = (golden.Config, (int)golden.Config["steps_per_epoch"]!);
            var training = TrainingItem.Schedule(config) with
            {
                Beta1 = (double)config["betas"]![0]!,
                Beta2 = (double)config["betas"]![1]!,
                WeightDecay = (double)config["wd"]!,
                ClipNorm = (double)config["clip"]!,
                EmaDecay = averageDecay,
                EmaWarmup = false,
            };
            _stages = training.CreateSchedule(images);
            _rate = training.CreateLearningRate(_stages, images);
            Model = new GptModel(golden.Gpt());
            StateLoader.Load(Model, golden.Weights(weights), weights);
            Model.train();
            _pass = new FusedGpt(Model);
            Optimizer = new AdamW(Model.named_parameters(), training);
        }

        public GptModel Model { get; }

        public IOptimizer Optimizer { get; }

        /// <summary>Runs steps [first, end) on the recorded batches and compares what was logged.</summary>
        public void Train(CaseRun run, string what, IReadOnlyDictionary<string, HostTensor> arrays, int first, long end)
        {
            var (codes, labels) = (StateLoader.ToTensor(arrays["x"]), StateLoader.ToTensor(arrays["y"]));
            for (var step = first; step < end; step++)
            {
                using var scope = NewDisposeScope();
                var stage = _stages.At(step);
                _pass.Forward(
                    labels[step].data<long>().ToArray(), codes[step].data<long>().ToArray(),
                    new PatchGeometry(Model.Config.GridSide, stage.PatchSide));
                _pass.Backward();
                var loss = _pass.TakeLoss();
                var norm = Optimizer.GradientNorm();
                var rate = _rate.At(step);
                Optimizer.Step(rate, norm);
                run.Same($"{what} step {step} patch_size", stage.PatchSide * stage.PatchSide, arrays["patch_size"].ToInt64()[step]);
                Logged(run, what, "loss", step, loss, arrays);
                Logged(run, what, "grad_norm", step, norm, arrays);
                Logged(run, what, "lr", step, rate, arrays);
            }
        }

        /// <summary>Moments, average and step count of a recorded checkpoint, whose parameters are numbered decayed ones first.</summary>
        public void Restore(string path)
        {
            var top = (Dictionary<object, object?>)PyTorchFile.Read(path)!;
            var state = (Dictionary<object, object?>)((Dictionary<object, object?>)top["optimizer"]!)["state"]!;
            var groups = _golden.Entry["param_groups"]!;
            var names = groups["decay"]!.AsArray().Concat(groups["nodecay"]!.AsArray()).Select(n => (string)n!).ToList();
            var moments = new Dictionary<string, HostTensor>();
            var steps = 0L;
            for (var i = 0; i < names.Count; i++)
            {
                var entry = (Dictionary<object, object?>)state[(long)i]!;
                moments["exp_avg." + names[i]] = (HostTensor)entry["exp_avg"]!;
                moments["exp_avg_sq." + names[i]] = (HostTensor)entry["exp_avg_sq"]!;
                steps = (long)((HostTensor)entry["step"]!).ToDoubles()[0];
            }

            Optimizer.Restore(moments, PyTorchFile.ReadStateDict(path, "ema"), steps, path);
        }

        public void Dispose()
        {
            _pass.Dispose();
            Model.Dispose();
        }

        private void Logged(CaseRun run, string what, string name, int step, double actual, IReadOnlyDictionary<string, HostTensor> arrays)
            => run.Close($"{what} step {step} {name}", actual, arrays[name + "__f64"].ToDoubles()[step], _golden.Tolerance(name));
    }
}
