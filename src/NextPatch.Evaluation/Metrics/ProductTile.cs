using static TorchSharp.torch;

namespace NextPatch.Evaluation.Metrics;

// Shape letters used in this file: R rows of the left block, C rows of the right block, D values per row.

/// <summary>Products of a block of one cloud with a block of another, so that no matrix of all pairs is ever held.</summary>
internal sealed class ProductTile(int width)
{
    /// <summary>Largest R.</summary>
    public const int Rows = 1024;

    /// <summary>Largest C.</summary>
    public const int Columns = 2048;

    private readonly float[] _left = new float[Rows * width];
    private readonly float[] _right = new float[Columns * width];

    /// <summary>[R, C]: -2 u.v of the last <see cref="Multiply"/>.</summary>
    public float[] Values { get; } = new float[Rows * Columns];

    /// <summary>R of the left block.</summary>
    public int LeftCount { get; private set; }

    /// <summary>Index of the first row of the left block.</summary>
    public int LeftFirst { get; private set; }

    /// <summary>C of the right block.</summary>
    public int RightCount { get; private set; }

    /// <summary>Index of the first row of the right block.</summary>
    public int RightFirst { get; private set; }

    public void SetLeft(FeatureMatrix cloud, int first)
    {
        (LeftFirst, LeftCount) = (first, Math.Min(Rows, cloud.Count - first));
        cloud.CopyCentred(first, LeftCount, _left);
    }

    public void Multiply(FeatureMatrix cloud, int first)
    {
        (RightFirst, RightCount) = (first, Math.Min(Columns, cloud.Count - first));
        cloud.CopyCentred(first, RightCount, _right);
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        Tensor View(float[] values, int rows, int columns) => frombuffer(values, ScalarType.Float32, (long)rows * columns).view(rows, columns);
        // [R, C]
        View(Values, LeftCount, RightCount).addmm_(View(_left, LeftCount, width), View(_right, RightCount, width).t(), beta: 0f, alpha: -2f);
    }

    /// <summary>Row r of the values.</summary>
    public ReadOnlySpan<float> Row(int r) => Values.AsSpan(r * RightCount, RightCount);
}
