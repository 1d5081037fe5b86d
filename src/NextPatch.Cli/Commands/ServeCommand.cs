using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Sampling;
using NextPatch.Cli.Serving;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Cpu;
using NextPatch.Server;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch serve</c>: images over HTTP.</summary>
internal static class ServeCommand
{
    private const string KeyVariable = "NEXTPATCH_API_KEY";

    public static Command Create()
    {
        var defaults = new ImageServerOptions();
        var model = new Option<string[]>("--model")
        {
            Description = "What 'sample --model' takes, as PATH or NAME=PATH; may be repeated, the first is the default. [default: the quickstart's "
                + "model, which comes with the program]",
            HelpName = "[name=]path",
        };
        var tokenizer = new Option<string?>("--tokenizer")
        {
            Description = "Tokenizer of the models, a folder or a weights file in the published layout. [default: the one each remembers, or "
                + "tokenizer/ in or beside it]",
            HelpName = "path",
        };
        var imageSize = new Option<int?>("--image-size")
        {
            Description = "Side of the images in pixels, 16 per code, where a file does not say it: 256 or 384. [default: 256]", HelpName = "px",
        };
        var precision = new Option<string>("--precision")
        {
            Description = "How weights are kept: bf16 takes half, int8 a quarter of the memory and of the time per code.",
            HelpName = "fp32|bf16|int8", DefaultValueFactory = _ => "fp32",
        };
        precision.AcceptOnlyFromAmong("fp32", "bf16", "int8");
        var urls = new Option<string>("--urls")
        {
            Description = "Where to listen; several are separated by semicolons.", HelpName = "url", DefaultValueFactory = _ => defaults.Urls[0],
        };
        var key = new Option<string?>("--api-key")
        {
            Description = $"Clients must send it as 'Authorization: Bearer KEY'. [default: the variable {KeyVariable}, which other users of the "
                + "machine do not see]",
            HelpName = "key",
        };
        var insecure = new Option<bool>("--insecure") { Description = "Listen on other addresses than this machine's own without a key." };
        var queue = new Option<int>("--queue")
        {
            Description = "Images of a model that may wait; beyond, clients are told to come later (429).", HelpName = "n",
            DefaultValueFactory = _ => defaults.QueueLimit,
        }.Between(1, 10_000);
        var timeout = new Option<int>("--timeout")
        {
            Description = "Longest time in seconds from a request's arrival to its last image; at the end of the server requests have as long.",
            HelpName = "s", DefaultValueFactory = _ => (int)defaults.Timeout.TotalSeconds,
        }.Between(1, 86_400);
        var threads = new Option<int?>("--threads") { Description = "Threads that compute. [default: one per processor]", HelpName = "n" }
            .Between<Option<int?>, int>(1, 1024);
        var json = new Option<bool>("--log-json") { Description = "Logs as lines of JSON." };
        var prompting = new PromptOptions();
        var prompts = new Option<bool>("--log-prompts") { Description = "Log what clients ask for." };
        var command = new Command(
            "serve",
            """
            Serves images over HTTP: the images API of OpenAI, whose clients work unchanged, and a page to draw with.
            Requests share the model's passes, and pictures can be watched as they grow.

            Examples:
              nextpatch serve
              nextpatch serve --model run --urls http://127.0.0.1:9000
              nextpatch serve --model small=run-s --model large=run-l --queue 200
              NEXTPATCH_API_KEY=... nextpatch serve --model run --urls http://0.0.0.0:8080
              curl http://127.0.0.1:8080/v1/images/generations -H 'Content-Type: application/json' -d '{"prompt": "heart", "seed": 7}'

            The address goes to stdout once it listens, logs go to stderr. Ctrl+C lets requests finish, and ends with exit code 0.
            """)
        {
            model, tokenizer, imageSize, precision, urls, key, insecure, queue, timeout, threads, json, prompts,
        };
        prompting.AddTo(command);
        command.SetAction(async (parsed, cancellation) =>
        {
            var options = new ImageServerOptions
            {
                Urls = parsed.GetRequiredValue(urls).Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries),
                ApiKey = (parsed.GetValue(key) ?? Environment.GetEnvironmentVariable(KeyVariable)) is { Length: > 0 } given ? given : null,
                QueueLimit = parsed.GetValue(queue),
                Timeout = TimeSpan.FromSeconds(parsed.GetValue(timeout)),
                LogsPrompts = parsed.GetValue(prompts),
            };
            RequireSafe(options, parsed.GetValue(insecure));
            var terminal = Terminal.From(parsed);
            FreedMemory.GiveBack();
            var opened = ServedModels.Open(
                parsed.GetValue(model) ?? [], parsed.GetValue(tokenizer), parsed.GetValue(imageSize),
                Enum.Parse<ComputePrecision>(parsed.GetRequiredValue(precision), ignoreCase: true), new CpuBackend
                {
                    Threads = parsed.GetValue(threads),
                }, prompting.Read(parsed), note => terminal.WriteNote("Warning: " + note));
            StopSignals.LetFinish();
            await using var server = ImageServer.Create(opened, options, logs => LogOutput.AddTo(logs, parsed.GetValue(json)));
            await StartAsync(server);
            foreach (var (name, loaded) in opened)
            {
                terminal.Log.WriteLine($"{name}: {loaded.Engine.Name}, model {loaded.Hash[..12]}");
            }

            foreach (var url in server.Urls)
            {
                terminal.Data.WriteLine(url);
            }

            await FreedMemory.CollectYoungAsync(cancellation);
            await server.StopAsync();
            return ExitCode.Success;
        });
        return command;
    }

    private static async Task StartAsync(ImageServer server)
    {
        try
        {
            await server.StartAsync(CancellationToken.None);
        }
        catch (IOException e)
        {
            throw new NextPatchException($"{e.Message.TrimEnd('.')}. Choose another address with --urls, or end what listens there.", e);
        }
    }

    private static void RequireSafe(ImageServerOptions options, bool isInsecure)
    {
        if (options.Urls.Count == 0)
        {
            throw new ConfigException("--urls is empty; leave it out, or write an address like http://127.0.0.1:8080.");
        }

        if (options.Urls.FirstOrDefault(url => !ListenAddress.IsLocal(url)) is { } open && options.ApiKey is null && !isInsecure)
        {
            throw new ConfigException(
                $"{open} lets other machines in. Give a key with --api-key or {KeyVariable}, or say --insecure to let everybody draw.");
        }
    }
}
