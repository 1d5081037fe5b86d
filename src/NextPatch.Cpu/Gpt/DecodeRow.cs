namespace NextPatch.Cpu.Gpt;

/// <summary>One row of a pass: a token of one sequence. Rows know nothing of each other.</summary>
/// <param name="Slot">The sequence's place in the cache.</param>
/// <param name="Position">0 for the class token.</param>
/// <param name="Input">The class at position 0, else the code before.</param>
internal readonly record struct DecodeRow(int Slot, int Position, int Input);
