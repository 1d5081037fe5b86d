namespace NextPatch.Cli.Rendering;

/// <summary>
/// Hands reports to an action at once, on the thread that makes them: <see cref="Progress{T}"/> queues them and may tell them late.
/// </summary>
internal sealed class ProgressLine<T>(Action<T> action) : IProgress<T>
{
    public void Report(T value) => action(value);
}
