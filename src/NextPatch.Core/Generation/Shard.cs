using System.Globalization;

namespace NextPatch.Core.Generation;

/// <summary>One of several parts into which work is cut, each for a process of its own.</summary>
/// <param name="Index">Which, from 0.</param>
/// <param name="Count">How many there are.</param>
internal readonly record struct Shard(int Index, int Count)
{
    /// <summary>The part of so many things that is this one's: [first, end).</summary>
    public (int First, int End) Of(int things) => ((int)((long)things * Index / Count), (int)((long)things * (Index + 1) / Count));

    /// <summary>As it is written, counted from 1: 2/8.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Index + 1}/{Count}");
}
