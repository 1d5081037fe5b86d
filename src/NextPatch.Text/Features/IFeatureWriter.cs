namespace NextPatch.Text.Features;

/// <summary>Where features go, caption by caption; what was written survives a kill.</summary>
internal interface IFeatureWriter : IDisposable
{
    /// <summary>Whether a caption is there from an earlier run.</summary>
    bool Has(int index, Caption caption);

    /// <summary>Writes captions that follow each other.</summary>
    void Write(IReadOnlyList<EncodedCaption> captions);

    /// <summary>Gives the files their names.</summary>
    void Finish();
}

/// <summary>A caption with its features.</summary>
/// <param name="Caption">Where it comes from.</param>
/// <param name="Hash">Of the text that was encoded; 0 for none.</param>
/// <param name="Features">[tokens, width]; empty where it could not be used.</param>
internal readonly record struct EncodedCaption(Caption Caption, ulong Hash, ReadOnlyMemory<float> Features);
