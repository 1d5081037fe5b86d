using System.CommandLine;
using System.Globalization;
using NextPatch.Core;
using NextPatch.Core.Generation;
using NextPatch.Training.Ranks;

namespace NextPatch.Cli.CommandLine;

/// <summary><c>--shard</c>: this process does a part of the work.</summary>
internal static class ShardOption
{
    private const string OfRank = "rank";

    /// <param name="ending">How the parts become one.</param>
    public static Option<string?> Create(string ending) => new("--shard")
    {
        Description = $"Do the i-th of n parts, counted from 1; {OfRank}: the part of this process among those that mpirun or srun started. {ending}",
        HelpName = $"i/n|{OfRank}",
    };

    /// <returns>Null where the work is not cut.</returns>
    /// <exception cref="ConfigException">It is no part.</exception>
    public static Shard? Of(ParseResult parsed, Option<string?> option)
    {
        switch (parsed.GetValue(option))
        {
            case null:
                return null;
            case OfRank:
                return LaunchEnvironment.Read(Environment.GetEnvironmentVariable) is { Rank: { } rank } launched
                    ? new Shard(rank, launched.Size)
                    : throw new ConfigException("--shard rank: neither mpirun nor srun started this process; say which part with i/n, such as 1/4.");
            case var text:
                var parts = text.Split('/');
                return parts.Length == 2 && int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                    && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var count) && number >= 1 && number <= count
                    ? new Shard(number - 1, count)
                    : throw new ConfigException($"--shard '{text}' is no part of some; write the second of eight as 2/8.");
        }
    }
}
