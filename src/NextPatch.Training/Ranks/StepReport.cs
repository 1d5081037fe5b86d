namespace NextPatch.Training.Ranks;

/// <summary>What a rank tells the others of a step before any of them takes it.</summary>
/// <param name="Step">Which one it computed.</param>
/// <param name="Place">Images before it.</param>
/// <param name="Loss">Its share of the mean loss.</param>
/// <param name="Squares">Sum of the squared gradients of its pieces.</param>
/// <param name="CpuSeconds">Processor time of this process in its training steps, earlier ones of this session.</param>
/// <param name="Wishes">What it was asked for, or has to do after the step.</param>
internal readonly record struct StepReport(long Step, long Place, double Loss, double Squares, double CpuSeconds, StepWishes Wishes)
{
    /// <summary>Tells and hears; refuses ranks that are elsewhere.</summary>
    /// <exception cref="RankFailureException">A rank computed another step.</exception>
    public StepReport[] Exchange(ICommunicator ranks)
    {
        var all = ranks.AllGather(this, "the loss of a step");
        for (var rank = 1; rank < all.Length; rank++)
        {
            if ((all[rank].Step, all[rank].Place) != (all[0].Step, all[0].Place))
            {
                throw new RankFailureException(
                    $"Rank {rank} computed step {all[rank].Step} from image {all[rank].Place} of the stream on, rank 0 step {all[0].Step} from image "
                    + $"{all[0].Place} on: they do not train the same run any more. Start again with Resume, from the last checkpoint.")
                { Settings = ["Resume"] };
            }
        }

        return all;
    }
}

/// <summary>What a rank wants of all.</summary>
[Flags]
internal enum StepWishes : long
{
    None = 0,

    /// <summary>It was asked to stop.</summary>
    Stop = 1,

    /// <summary>It tries again to write a checkpoint that the disk did not take.</summary>
    Checkpoint = 2,
}
