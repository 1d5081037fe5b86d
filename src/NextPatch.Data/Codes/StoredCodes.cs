namespace NextPatch.Data.Codes;

// Shape letters used in this file: N images, A stored variants of an image, T codes of an image.

/// <summary>Codes on disk, read as they are asked for. Reading is safe from several threads.</summary>
internal abstract class StoredCodes : IDisposable
{
    /// <summary>The file or folder, for messages.</summary>
    public abstract string Path { get; }

    /// <summary>[N, A, T].</summary>
    public abstract IReadOnlyList<long> Shape { get; }

    /// <summary>N.</summary>
    public int Count => (int)Shape[0];

    /// <summary>A.</summary>
    public int Variants => (int)Shape[1];

    /// <summary>T.</summary>
    public int CodesPerImage => (int)Shape[2];

    /// <summary>Copies one variant of an image into [T].</summary>
    public abstract void Read(int image, int variant, Span<int> destination);

    /// <summary>Copies all variants of an image into [A, T].</summary>
    public abstract void ReadVariants(int image, Span<int> destination);

    public abstract void Dispose();
}
