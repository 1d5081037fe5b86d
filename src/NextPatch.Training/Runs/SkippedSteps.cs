using NextPatch.Core;
using NextPatch.Core.Files;

namespace NextPatch.Training.Runs;

/// <summary>Counts the steps that were not taken because their loss or gradient was not finite, and ends a run that takes none any more.</summary>
internal sealed class SkippedSteps
{
    private readonly int _limit;
    private readonly Action<string>? _note;
    private string _firstBatch = "";

    /// <param name="limit">Skipped steps in a row that end the run; 1 = the first one.</param>
    /// <param name="note">Receives a sentence per skipped step.</param>
    public SkippedSteps(int limit, Action<string>? note) => (_limit, _note) = (Math.Max(limit, 1), note);

    /// <summary>Over all sessions of the run.</summary>
    public long Total { get; private set; }

    /// <summary>Up to the current step; 0 after a step that was taken.</summary>
    public int InARow { get; private set; }

    public void Restore(long total, int inARow) => (Total, InARow) = (total, inARow);

    public void StepTaken() => InARow = 0;

    /// <param name="what">The step and its numbers: "The loss of step 7 is NaN".</param>
    /// <param name="dump">Writes the batch and says where it is; called for the first of a row only, because the others rarely say more.</param>
    /// <param name="advice">What to do when the run ends here.</param>
    /// <exception cref="NextPatchException">It was the last one allowed.</exception>
    public void Skip(string what, Func<string> dump, Func<string> advice)
    {
        (Total, InARow) = (Total + 1, InARow + 1);
        if (InARow == 1)
        {
            _firstBatch = $" The batch of the first is in {Dumped(dump)}.";
        }

        if (InARow >= _limit)
        {
            throw new NextPatchException(
                $"{what}; the run stops, because {InARow} in a row were not finite. None of them was used.{_firstBatch} {advice()}")
            { Settings = ["InitialWeights"], IsDivergence = true };
        }

        _note?.Invoke(
            $"{what}; the step is skipped ({InARow} in a row, {Total} in all; {_limit} in a row end the run).{(InARow == 1 ? _firstBatch : "")}");
    }

    private static string Dumped(Func<string> dump)
    {
        try
        {
            return dump();
        }
        catch (Exception e) when (DiskTrouble.Is(e))
        {
            return $"no file ({e.Message})";
        }
    }
}
