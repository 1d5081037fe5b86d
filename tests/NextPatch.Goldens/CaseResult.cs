namespace NextPatch.Goldens;

internal enum CaseStatus
{
    Passed,
    Failed,
    Unsupported,
}

/// <summary>Outcome of one case.</summary>
/// <param name="Name">Name in the manifest.</param>
/// <param name="Status">Outcome.</param>
/// <param name="MaxError">Largest absolute difference of all numbers compared; infinite where only one of two numbers is finite.</param>
/// <param name="Checks">Number of arrays, scalars and facts compared.</param>
/// <param name="Detail">Failures, where the largest difference lies, and what was not compared.</param>
internal sealed record CaseResult(string Name, CaseStatus Status, double MaxError, int Checks, string Detail)
{
    /// <summary>One line for a person.</summary>
    public override string ToString()
    {
        var line = $"{Status.ToString().ToLowerInvariant(),-11} {Name,-24} {(Checks > 0 ? $"max error {MaxError:G3} in {Checks} checks" : "")}";
        return (Detail.Length > 0 ? $"{line.TrimEnd()}; {Detail}" : line).TrimEnd();
    }
}
