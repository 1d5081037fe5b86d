using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Rendering;

namespace NextPatch.Benchmarks.Serving;

/// <summary><c>serve-load</c>: clients that draw from a running <c>nextpatch serve</c>.</summary>
internal static class LoadCommand
{
    public static Command Create()
    {
        var url = new Option<string>("--url") { Description = "The server's address.", DefaultValueFactory = _ => "http://127.0.0.1:8080" };
        var clients = new Option<int[]>("--clients")
        {
            Description = "How many ask at a time; may be repeated.", DefaultValueFactory = _ => [1, 8, 32],
        };
        var seconds = new Option<int>("--seconds") { Description = "Of each number of clients.", DefaultValueFactory = _ => 60 }.AtLeast(1);
        var prompt = new Option<string>("--prompt") { Description = "What they ask for.", DefaultValueFactory = _ => "1" };
        var pid = new Option<int?>("--pid") { Description = "The server's process, whose memory is watched." };
        var command = new Command(
            "serve-load", "Images per second, waiting times and memory of a running server, each client asking for one image after another.")
        { url, clients, seconds, prompt, pid };
        command.SetAction(async (parsed, cancellation) =>
        {
            var terminal = Terminal.From(parsed);
            var load = new ServeLoad(new Uri(parsed.GetRequiredValue(url)), parsed.GetRequiredValue(prompt), parsed.GetValue(pid));
            terminal.Data.WriteLine(ServeLoad.Heading);
            foreach (var count in parsed.GetRequiredValue(clients))
            {
                terminal.Data.WriteLine(await load.RunAsync(count, TimeSpan.FromSeconds(parsed.GetValue(seconds)), cancellation));
            }

            return ExitCode.Success;
        });
        return command;
    }
}
