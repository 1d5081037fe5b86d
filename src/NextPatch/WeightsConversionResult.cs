namespace NextPatch;

/// <summary>What <see cref="WeightsConverter"/> wrote.</summary>
/// <param name="Path">The file or folder.</param>
/// <param name="Format">pytorch, safetensors, npz or folder.</param>
/// <param name="Tensors">Number of tensors.</param>
/// <param name="ParameterCount">Elements of all of them.</param>
/// <param name="Weights">ema or model: which of the input were taken.</param>
/// <param name="Dtypes">Element types, most bytes first.</param>
/// <param name="Bytes">Size of the tensors.</param>
public sealed record WeightsConversionResult(
    string Path, string Format, int Tensors, long ParameterCount, string Weights, IReadOnlyList<string> Dtypes, long Bytes);
