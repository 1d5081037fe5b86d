namespace NextPatch.Core.Checkpoints.Pickle;

/// <summary>A Python name from the allow-list whose call we imitate. The only things a pickle can make us run.</summary>
/// <param name="Name">Module and name.</param>
/// <param name="Call">Turns the arguments into a plain value.</param>
internal sealed record PickleCallable(string Name, Func<IReadOnlyList<object?>, object?> Call);
