using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.NoEmit;
using NextPatch.Benchmarks;
using NextPatch.Benchmarks.Decoding;
using NextPatch.Cli.CommandLine;
using NextPatch.Torch.Loading;

if (BenchCommands.Know(args))
{
    using var signals = new StopSignals();
    return await BenchCommands.RunAsync(args, Console.Out, Console.Error, signals.Token);
}

if (DecodeCommand.Know(args))
{
    return DecodeCommand.Run(args);
}

// In this process: a generated one would not find libtorch. Each class holds its own baseline, so ratios come from one run.
NativeBackend.EnsureLoaded();
var job = Job.ShortRun.WithToolchain(InProcessNoEmitToolchain.Instance);
BenchmarkSwitcher.FromAssembly(typeof(AdamWBenchmarks).Assembly).Run(args, DefaultConfig.Instance.AddJob(job));
return 0;
