using NextPatch.Core;

namespace NextPatch.Data.Codes;

// Shape letters used in this file: N images in the end, n images in this call, A stored variants of an image, T codes of an image.

/// <summary>The files of a folder of codes while it grows, under temporary names.</summary>
internal abstract class CodeFiles : IDisposable
{
    /// <summary>Adds images behind the others.</summary>
    /// <param name="codes">[n, A, T].</param>
    /// <param name="labels">[n].</param>
    /// <param name="captions">Line of each image's caption, -1 for none, [n]; empty where the manifest names no captions.</param>
    public abstract void Append(ReadOnlySpan<int> codes, ReadOnlySpan<int> labels, ReadOnlySpan<int> captions);

    /// <summary>Returns when the disk has what was added.</summary>
    public abstract void Flush();

    /// <summary>Completes the files, which keep their temporary names, and closes them.</summary>
    /// <param name="manifest">With the true counts.</param>
    /// <returns>Names in the order in which they are to be given: those last without which a folder is not taken for one of codes.</returns>
    public abstract IReadOnlyList<string> Finish(CodeManifest manifest);

    public abstract void Dispose();

    public static NextPatchException CannotWrite(string folder, Exception cause)
        => new($"Code folder '{folder}' cannot be written: {cause.Message}", cause);
}
