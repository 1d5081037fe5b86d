namespace NextPatch.Training.Tokenizer;

/// <summary>What a run was trained on, as far as it can be told without reading all of it.</summary>
/// <param name="Name">Of the folder or file.</param>
/// <param name="TrainingCount">Images that are trained on.</param>
/// <param name="HeldOutCount">Images that are kept apart.</param>
/// <param name="JudgedCount">Of these, images that the run is judged by.</param>
public sealed record TokenizerRunData(string Name, int TrainingCount, int HeldOutCount, int JudgedCount);
