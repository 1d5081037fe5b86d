using System.CommandLine;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch tokenizer</c>: what turns images into codes and back.</summary>
internal static class TokenizerCommand
{
    public static Command Create()
    {
        var command = new Command("tokenizer", "Trains and measures VQ tokenizers, which turn images into grids of codes and back.");
        command.Add(TokenizerTrainCommand.Create());
        command.Add(TokenizerEvalCommand.Create());
        command.Add(TokenizerReconstructCommand.Create());
        return command;
    }
}
