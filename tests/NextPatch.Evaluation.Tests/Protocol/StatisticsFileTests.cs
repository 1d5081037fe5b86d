using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Tensors;
using NextPatch.Evaluation.Protocol;

namespace NextPatch.Evaluation.Tests.Protocol;

public sealed class StatisticsFileTests
{
    [Fact]
    public void What_is_written_is_read_with_its_origin()
    {
        using var folder = new TemporaryFolder();
        using var images = Pictures.Npz(folder["a.npz"], 20, 4);
        var stored = FeatureSet.Collect(new FakeNetwork(), images, keepRows: false).ToStored();

        StatisticsFile.Write(folder["a.safetensors"], stored);
        var read = StatisticsFile.TryRead(folder["a.safetensors"], part: null)!;

        Assert.Equal(stored.Mean, read.Mean);
        Assert.Equal(stored.Covariance, read.Covariance);
        Assert.Equal(stored.SpatialCovariance, read.SpatialCovariance);
        Assert.Equal(stored.Features, read.Features);
        Assert.Equal(stored.Images with { Layout = "statistics" }, read.Images);
    }

    [Fact]
    public void Published_archives_hold_pooled_and_spatial_statistics()
    {
        using var folder = new TemporaryFolder();
        Write(folder["ref.npz"], ("mu", [1, 2], [2]), ("sigma", [1, 0, 0, 1], [2, 2]), ("mu_s", [3], [1]), ("sigma_s", [4], [1, 1]));

        var read = StatisticsFile.TryRead(folder["ref.npz"], part: null)!;

        Assert.Equal([1, 2], read.Mean);
        Assert.Equal([4], read.SpatialCovariance!);
        Assert.Null(read.Features);
        Assert.Equal("file", read.Images.HashOf);
    }

    [Fact]
    public void Of_several_pairs_a_part_is_chosen()
    {
        using var folder = new TemporaryFolder();
        Write(folder["both.safetensors"], ("train_mu", [1], [1]), ("train_sigma", [2], [1, 1]), ("test_mu", [3], [1]), ("test_sigma", [4], [1, 1]));

        var test = StatisticsFile.TryRead(folder["both.safetensors"], "test")!;
        Assert.Equal([3.0], test.Mean);
        Assert.Equal("test", test.Images.Part);
        var error = Assert.Throws<ConfigException>(() => StatisticsFile.TryRead(folder["both.safetensors"], part: null));
        Assert.Contains("train_mu, test_mu", error.Message, StringComparison.Ordinal);
    }

    /// <summary>Not symmetric, a negative variance, a negative eigenvalue, correlations beyond one.</summary>
    [Theory]
    [InlineData(new[] { 1.0, 1, 0, 1 }, "not symmetric")]
    [InlineData(new[] { -1.0, 0, 0, -1 }, "negative variance")]
    [InlineData(new[] { 1.0, 0, 0, -0.1 }, "negative variance")]
    [InlineData(new[] { 1.0, 2, 2, 1 }, "negative eigenvalue")]
    [InlineData(new[] { 0.0, 1, 1, 0 }, "negative eigenvalue")]
    public void A_matrix_that_is_no_covariance_is_refused(double[] covariance, string reason)
    {
        using var folder = new TemporaryFolder();
        foreach (var name in new[] { "bad.npz", "bad.safetensors" })
        {
            Write(folder[name], ("mu", [1, 2], [2]), ("sigma", covariance, [2, 2]));
            Assert.Contains(
                reason, Assert.Throws<DataFormatException>(() => StatisticsFile.TryRead(folder[name], null)).Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(new[] { 1.0, 1, 1, 1 })] // of rank one
    [InlineData(new[] { 0.0, 0, 0, 0 })] // of equal images
    [InlineData(new[] { 1.0, 0.3, 0.3000001, 1 })] // rounded
    public void A_covariance_without_full_rank_or_with_rounding_is_one(double[] covariance)
    {
        using var folder = new TemporaryFolder();
        Write(folder["a.npz"], ("mu", [1, 2], [2]), ("sigma", covariance, [2, 2]));
        Assert.Equal(covariance, StatisticsFile.TryRead(folder["a.npz"], null)!.Covariance);
    }

    [Fact]
    public void Half_of_a_pair_is_not_dropped()
    {
        using var folder = new TemporaryFolder();
        Write(folder["a.npz"], ("mu", [1, 2], [2]), ("sigma", [1, 0, 0, 1], [2, 2]), ("sigma_s", [4], [1, 1]));
        Assert.Contains(
            "mu_s missing", Assert.Throws<DataFormatException>(() => StatisticsFile.TryRead(folder["a.npz"], null)).Message,
                StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(new[] { 1.0, 2 }, new[] { 1.0, 0, 0 }, new long[] { 3, 1 }, "expected a mean")]
    [InlineData(new[] { 1.0, double.NaN }, new[] { 1.0, 0, 0, 1 }, new long[] { 2, 2 }, "not finite")]
    [InlineData(new[] { 1.0, 1e30 }, new[] { 1.0, 0, 0, 1 }, new long[] { 2, 2 }, "beyond 1000000")]
    [InlineData(new[] { 1.0, 2 }, new[] { 1.0, 0, 0, 1e30 }, new long[] { 2, 2 }, "beyond 1000000")]
    public void Damaged_statistics_are_refused(double[] mean, double[] covariance, long[] shape, string reason)
    {
        using var folder = new TemporaryFolder();
        Write(folder["bad.npz"], ("mu", mean, [2]), ("sigma", covariance, shape));

        Assert.Contains(
            reason, Assert.Throws<DataFormatException>(() => StatisticsFile.TryRead(folder["bad.npz"], null)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Files_without_statistics_are_none()
    {
        using var folder = new TemporaryFolder();
        using var images = Pictures.Npz(folder["a.npz"], 2, 4);
        Write(folder["w.safetensors"], ("weight", [1], [1]));

        Assert.Null(StatisticsFile.TryRead(folder["a.npz"], null));
        Assert.Null(StatisticsFile.TryRead(folder["w.safetensors"], null));
        Assert.Null(StatisticsFile.TryRead(folder["."], null));
    }

    private static void Write(string path, params (string Name, double[] Values, long[] Shape)[] arrays)
    {
        var tensors = arrays.Select(
            a => KeyValuePair.Create(a.Name, StoredTensor.From(HostTensor.From<double>(ElementType.Float64, a.Shape, a.Values)))).ToList();
        if (path.EndsWith(".npz", StringComparison.Ordinal))
        {
            NpzFile.Write(path, tensors);
        }
        else
        {
            SafetensorsFile.Write(path, tensors);
        }
    }
}
