using NextPatch.Core.Checkpoints;

namespace NextPatch.Core.Tests.Checkpoints;

/// <summary>Fixtures are outputs of torch.save; expected_*.npz hold what Python read back.</summary>
public sealed class PyTorchFileTests
{
    [Theory]
    [InlineData("official.pt", "expected_model.npz")]
    [InlineData("bf16.pt", "expected_bf16_as_f32.npz")]
    public void Weights_equal_what_python_saved(string checkpoint, string expected)
        => Stored.AssertEqualAsSingles(NpzFile.Read(Stored.Fixture(expected)), PyTorchFile.ReadStateDict(Stored.Fixture(checkpoint)));

    [Fact]
    public void Views_of_every_type_equal_what_python_saved()
    {
        var expected = NpzFile.Read(Stored.Fixture("expected_views.npz")).ToDictionary(pair => pair.Key.Replace("__f64", "", StringComparison.Ordinal), pair => pair.Value);
        var actual = PyTorchFile.ReadStateDict(Stored.Fixture("views.pt"));
        Stored.AssertEqualAsSingles(expected, actual);
        foreach (var (name, tensor) in expected.Where(pair => actual[pair.Key].Type is not (ElementType.Float16 or ElementType.BFloat16)))
        {
            Stored.AssertEqual(tensor, actual[name]);
        }
    }

    [Fact]
    public void Bfloat16_stays_bfloat16()
        => Assert.All(PyTorchFile.ReadStateDict(Stored.Fixture("bf16.pt")).Values, tensor => Assert.Equal(ElementType.BFloat16, tensor.Type));

    [Fact]
    public void Settings_and_optimizer_state_are_plain_values()
    {
        var top = Assert.IsType<Dictionary<object, object?>>(PyTorchFile.Read(Stored.Fixture("official.pt")));
        var arguments = Assert.IsAssignableFrom<Dictionary<object, object?>>(top["args"]);
        Assert.NotEmpty(arguments);
        Assert.All(arguments.Keys, key => Assert.IsType<string>(key));
        var optimizer = Assert.IsType<Dictionary<object, object?>>(top["optimizer"]);
        var first = Assert.IsType<Dictionary<object, object?>>(Assert.IsType<Dictionary<object, object?>>(optimizer["state"])[0L]);
        Assert.Equal(["exp_avg", "exp_avg_sq", "step"], first.Keys.Cast<string>().Order());
    }

    [Fact]
    public void An_unknown_class_is_refused_by_name()
        => Assert.Contains("my_project.config.Config", Stored.Refused(() => PyTorchFile.Read(Stored.Fixture("unknown_class.pt"))).Message, StringComparison.Ordinal);

    [Fact]
    public void The_old_format_is_refused_as_such()
        => Assert.Contains("before 1.6", Stored.Refused(() => PyTorchFile.Read(Stored.Fixture("legacy.pth"))).Message, StringComparison.Ordinal);

    [Fact]
    public void An_incomplete_download_is_refused()
        => Assert.Contains("bad_truncated.pt", Stored.Refused(() => PyTorchFile.Read(Stored.Fixture("bad_truncated.pt"))).Message, StringComparison.Ordinal);

    [Fact]
    public void A_web_page_is_refused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["a.pt"], "<html>404</html>");
        Assert.Contains("web page", Stored.Refused(() => PyTorchFile.Read(folder["a.pt"])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Damage_is_refused_or_harmless()
    {
        var whole = PickleBuilder.Checkpoint(new PickleBuilder().Dictionary().Text("w").Tensor("0", 4, 1, [3], [1]).SetItem().Bytes(), ("0", new byte[16]));
        Stored.AssertRefusedWhenTruncated(whole, path => PyTorchFile.Read(path));
        Stored.AssertSafeWhenDamaged(whole, path => PyTorchFile.Read(path));
    }

    [Fact]
    public void Truncation_of_a_real_file_is_refused()
        => Stored.AssertRefusedWhenTruncated(File.ReadAllBytes(Stored.Fixture("views.pt")), path => PyTorchFile.Read(path));
}
