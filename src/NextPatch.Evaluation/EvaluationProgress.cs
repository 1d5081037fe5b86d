namespace NextPatch.Evaluation;

/// <summary>How far an evaluation is.</summary>
/// <param name="Work">What is going on: "Reference, inception".</param>
/// <param name="Done">Images done.</param>
/// <param name="Total">Images in all.</param>
public sealed record EvaluationProgress(string Work, int Done, int Total)
{
    /// <summary>Says that work begins, because the first images may take minutes, and makes what receives the number of images done.</summary>
    internal static IProgress<int>? Begin(IProgress<EvaluationProgress>? progress, string work, int total)
    {
        progress?.Report(new EvaluationProgress(work, 0, total));
        return progress is null ? null : new Counter(progress, work, total);
    }

    private sealed class Counter(IProgress<EvaluationProgress> progress, string work, int total) : IProgress<int>
    {
        public void Report(int value) => progress.Report(new EvaluationProgress(work, value, total));
    }
}
