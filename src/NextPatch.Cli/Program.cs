using NextPatch.Cli;
using NextPatch.Cli.CommandLine;

using var signals = new StopSignals();
return await Application.RunAsync(args, Console.Out, Console.Error, signals.Token);
