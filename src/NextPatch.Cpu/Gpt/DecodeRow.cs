namespace NextPatch.Cpu.Gpt;

/// <summary>One row of a pass: a token of one sequence. Rows know nothing of each other.</summary>
/// <param name="Slot">The sequence's place in the cache.</param>
/// <param name="Position">0 for the class token or rows of a prompt.</param>
/// <param name="Input">The class at position 0, or the number of the prompt's row; else the code before.</param>
/// <param name="Prompt">At position 0 where captions condition the model; rows of one prompt follow each other in a pass.</param>
internal readonly record struct DecodeRow(int Slot, int Position, int Input, EncodedPrompt? Prompt = null);
