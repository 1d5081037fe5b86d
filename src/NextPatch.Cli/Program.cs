using NextPatch.Cli;
using NextPatch.Cli.CommandLine;

var (output, error) = StandardStreams.Open();
using var signals = new StopSignals();
return await Application.RunAsync(args, output, error, signals.Token);
