using NextPatch.Core;

namespace NextPatch.Text.Encoders;

/// <summary>The encoder of T5, whatever computes it. One caller at a time.</summary>
internal interface IT5Encoder : IDisposable
{
    /// <summary>Its shape.</summary>
    T5Config Config { get; }

    /// <summary>What computes, as <c>--engine</c> names it; features of different engines differ by rounding.</summary>
    string Engine { get; }

    /// <summary>The features of texts.</summary>
    /// <param name="texts">Token ids of each text.</param>
    /// <param name="cancellation">Stops between blocks.</param>
    /// <returns>[R, D], the texts one behind the other: R tokens of all texts, D width.</returns>
    /// <exception cref="NextPatchException">An id lies beyond the vocabulary, or the weights give no finite numbers.</exception>
    float[] Encode(IReadOnlyList<int[]> texts, CancellationToken cancellation = default);
}
