using NextPatch.Core.Configuration;
using NextPatch.Kernels.Threading;

namespace NextPatch.Cpu.Gpt;

/// <summary>A transformer that takes one token each of any sequences and gives the logits of their next codes.</summary>
internal interface IGptDecoder : IDisposable
{
    GptConfig Config { get; }

    /// <summary>Most rows of a pass.</summary>
    int MaxRows { get; }

    /// <summary>The threads that compute; between passes they are free for other work.</summary>
    ThreadTeam Team { get; }

    /// <summary>A place for keys and values of a sequence. What it held before is overwritten from position 0 on.</summary>
    int TakeSlot();

    /// <summary>Gives a place back.</summary>
    void ReturnSlot(int slot);

    /// <summary>Adds a token to each row's sequence; allocates nothing.</summary>
    /// <param name="rows">Of different slots, in any order.</param>
    void Run(ReadOnlySpan<DecodeRow> rows);

    /// <summary>What the last pass gave for a row, [V]; may be changed, and is overwritten by the next pass.</summary>
    Span<float> Logits(int row);
}

/// <summary>One row of a pass: a token of one sequence. Rows know nothing of each other.</summary>
/// <param name="Slot">The sequence's place in the cache.</param>
/// <param name="Position">0 for the class token.</param>
/// <param name="Input">The class at position 0, else the code before.</param>
internal readonly record struct DecodeRow(int Slot, int Position, int Input);
