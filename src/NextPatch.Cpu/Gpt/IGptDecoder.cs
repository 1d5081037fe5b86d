using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
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

    /// <summary>A prompt as rows, of a model that captions condition; the same object while the features live.</summary>
    EncodedPrompt Encode(PromptFeatures prompt);

    /// <summary>What is computed beside a prompt of so many tokens where it is guided.</summary>
    EncodedPrompt Unconditional(int tokens);

    /// <summary>Begins a sequence of a prompt: all its rows but the last, which then is the row of position 0.</summary>
    /// <param name="slot">The sequence's place.</param>
    /// <param name="prompt">Its prompt.</param>
    void Prefill(int slot, EncodedPrompt prompt);

    /// <summary>Adds a token to each row's sequence; allocates nothing.</summary>
    /// <param name="rows">Of different slots, in any order.</param>
    void Run(ReadOnlySpan<DecodeRow> rows);

    /// <summary>What the last pass gave for a row, [V]; may be changed, and is overwritten by the next pass.</summary>
    Span<float> Logits(int row);
}

/// <summary>One row of a pass: a token of one sequence. Rows know nothing of each other.</summary>
/// <param name="Slot">The sequence's place in the cache.</param>
/// <param name="Position">0 for the class token or rows of a prompt.</param>
/// <param name="Input">The class at position 0, or the number of the prompt's row; else the code before.</param>
/// <param name="Prompt">At position 0 where captions condition the model; rows of one prompt follow each other in a pass.</param>
internal readonly record struct DecodeRow(int Slot, int Position, int Input, EncodedPrompt? Prompt = null);
