using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Rendering;
using NextPatch.Text.Features;
using NextPatch.Torch.Text;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch encode-text</c>: captions into features.</summary>
internal static class EncodeTextCommand
{
    public static Command Create()
    {
        var captions = new Option<string>("--captions")
        {
            Description = "Captions: .jsonl (\"text\", one or a list), .csv or .tsv (a column text, caption or prompt), .txt (a line each), or a "
                + "folder of .jsonl.",
            Required = true, HelpName = "path",
        };
        var encoder = new Option<string>("--encoder")
        {
            Description = "Weights of a T5 (.safetensors, their index, .pt, .bin, a folder); or 'formula', a small one that needs no file and has "
                + "learned nothing.",
            Required = true, HelpName = "path|formula",
        };
        var tokenizer = new Option<string?>("--tokenizer")
        {
            Description = "T5's SentencePiece model. [default: spiece.model beside the weights]", HelpName = "path",
        };
        var output = new Option<string>("--output") { Description = "Folder to write.", Required = true, HelpName = "dir" };
        var layout = new Option<FeatureLayout>("--layout")
        {
            Description = "store: one file for all captions. published: a .npy per caption, as LlamaGen reads them.", HelpName = "store|published",
            DefaultValueFactory = _ => FeatureLayout.Store,
        };
        var clean = new Option<CaptionCleaning>("--clean")
        {
            Description = "published: what LlamaGen's captions went through. none: captions as they stand.", HelpName = "published|none",
            DefaultValueFactory = _ => CaptionCleaning.Published,
        };
        var mostTokens = new Option<int>("--max-tokens")
        {
            Description = "Tokens kept of a caption, its end among them.", HelpName = "n", DefaultValueFactory = _ => 120,
        }.Between(1, 4096);
        var index = new Option<int>("--caption-index")
        {
            Description = "Which caption, where a line lists several (published: 0 short, 1 long, 2 the long one's first sentence).", HelpName = "n",
            DefaultValueFactory = _ => 0,
        }.AtLeast(0);
        var engine = new Option<string>("--engine")
        {
            Description = "What computes: cpu, C# alone; torch, libtorch, as plain modules to compare with. Features differ by rounding.",
            HelpName = "cpu|torch", DefaultValueFactory = _ => "cpu",
        }.AcceptOnlyFromAmong("cpu", "torch");
        var json = new Option<bool>("--json") { Description = "Write the summary as JSON." };
        var command = new Command(
            "encode-text",
            """
            Turns captions into the features of a T5 encoder. Killed or stopped, the same command continues and ends with the same bytes.
            Lines that hold no caption are counted by reason and have no features.

            Examples:
              nextpatch encode-text --captions captions.jsonl --encoder flan-t5-xl --output features
              nextpatch encode-text --captions laion/ --encoder flan-t5-xl --output t5 --layout published
              nextpatch encode-text --captions prompts.txt --encoder formula --output features
            """) { captions, encoder, tokenizer, output, layout, clean, mostTokens, index, engine, json };
        command.SetAction((parsed, cancellation) =>
        {
            StopSignals.LetFinish();
            var terminal = Terminal.From(parsed);
            TextEncodingResult result;
            using (var progress = terminal.CreateProgress())
            {
                result = TextEncoding.Run(new TextEncodingOptions
                {
                    Captions = parsed.GetRequiredValue(captions),
                    Encoder = parsed.GetRequiredValue(encoder),
                    Tokenizer = parsed.GetValue(tokenizer),
                    Engine = parsed.GetRequiredValue(engine) == "torch" ? (tensors, source) => new TorchT5Encoder(tensors, source) : null,
                    Output = parsed.GetRequiredValue(output),
                    Layout = parsed.GetValue(layout),
                    Clean = parsed.GetValue(clean),
                    MaxTokens = parsed.GetValue(mostTokens),
                    CaptionIndex = parsed.GetValue(index),
                }, progress.For("Encoding", 0), cancellation);
            }

            if (parsed.GetValue(json))
            {
                terminal.WriteJson(result);
            }
            else
            {
                Write(terminal, result);
            }

            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }

    private static void Write(Terminal terminal, TextEncodingResult result)
    {
        terminal.Data.WriteLine(
            $"{result.Encoded:N0} of {result.Count:N0} captions as {result.Tokens:N0} tokens of width {result.Width} in {result.Output}; encoder "
            + $"{result.Encoder}{(result.IsFormula ? ", which has learned nothing" : "")}");
        foreach (var (count, what) in result.Unusable.Select(p => (p.Value, $"without features: {p.Key}"))
            .Concat([(result.Cut, "cut at the limit of tokens or characters"), (result.Emptied, "left empty by the cleaning, and encoded so")]))
        {
            if (count > 0)
            {
                terminal.Data.WriteLine($"  {count:N0} {what}");
            }
        }
    }
}
