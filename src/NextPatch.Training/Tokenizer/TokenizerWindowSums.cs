namespace NextPatch.Training.Tokenizer;

/// <summary>Sums over the steps since the last line of metrics; part of the checkpoint, so that the lines of a resumed run are those of an uninterrupted one.</summary>
internal sealed record TokenizerWindowSums
{
    public int Steps { get; init; }

    public double Loss { get; init; }

    public double SquaredError { get; init; }

    public double Perceptual { get; init; }

    public int Revived { get; init; }

    public TokenizerWindowSums Plus(TokenizerStepResult result) => this with
    {
        Steps = Steps + 1, Loss = Loss + result.Loss, SquaredError = SquaredError + result.SquaredError, Perceptual = Perceptual + (result.Perceptual ?? 0),
    };
}
