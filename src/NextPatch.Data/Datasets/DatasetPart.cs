namespace NextPatch.Data.Datasets;

/// <summary>Which images of a dataset are meant.</summary>
public enum DatasetPart
{
    /// <summary>Both parts; the one for validation or testing is held out.</summary>
    All,

    /// <summary>What the data bring to learn from.</summary>
    Train,

    /// <summary>What they keep for validation or testing.</summary>
    Val,
}
