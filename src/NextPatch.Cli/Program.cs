using NextPatch.Cli;

using var signals = new StopSignals();
return await Application.RunAsync(args, Console.Out, Console.Error, signals.Token);
