namespace NextPatch.Data.Sources;

/// <summary>What happens to an image that cannot be read.</summary>
public enum OnBadImage
{
    /// <summary>Its error stops the work.</summary>
    Fail,

    /// <summary>It is left out and counted.</summary>
    Skip,
}
