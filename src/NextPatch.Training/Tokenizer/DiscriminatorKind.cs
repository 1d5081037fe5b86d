namespace NextPatch.Training.Tokenizer;

/// <summary>Who judges reconstructions beside the losses.</summary>
public enum DiscriminatorKind
{
    /// <summary>Nobody.</summary>
    None,

    /// <summary>One verdict per patch.</summary>
    PatchGan,

    /// <summary>One verdict per image.</summary>
    StyleGan,
}
