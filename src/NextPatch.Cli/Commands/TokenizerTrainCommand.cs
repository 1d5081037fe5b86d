using System.CommandLine;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch tokenizer train</c>: a VQ tokenizer on images.</summary>
internal static class TokenizerTrainCommand
{
    public static Command Create() => new("train", "Trains a VQ tokenizer on images.");
}
