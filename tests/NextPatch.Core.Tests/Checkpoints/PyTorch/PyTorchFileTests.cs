using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.Pickle;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Tensors;
using NextPatch.Core.Tests.Checkpoints.Pickle;


namespace NextPatch.Core.Tests.Checkpoints.PyTorch;

/// <summary>Fixtures are outputs of torch.save; expected_*.npz hold what Python read back.</summary>
public sealed class PyTorchFileTests
{
    [Theory]
    [InlineData("official.pt", "expected_model.npz")]
    [InlineData("bf16.pt", "expected_bf16_as_f32.npz")]
    [InlineData("python2_style_legacy.pth", "expected_model.npz")]
    [InlineData("exotic_args.pt", "expected_model.npz")]
    [InlineData("unknown_class.pt", "expected_model.npz")]
    public void Weights_equal_what_python_saved(string checkpoint, string expected)
        => Stored.AssertEqualAsSingles(NpzFile.Read(Stored.Fixture(expected)), PyTorchFile.ReadStateDict(Stored.Fixture(checkpoint)));

    [Theory]
    [InlineData("views.pt")]
    [InlineData("views_legacy.pt")]
    public void Views_of_every_type_equal_what_python_saved(string checkpoint)
    {
        var expected = NpzFile.Read(Stored.Fixture("expected_views.npz"))
            .ToDictionary(pair => pair.Key.Replace("__f64", "", StringComparison.Ordinal), pair => pair.Value);
        var actual = PyTorchFile.ReadStateDict(Stored.Fixture(checkpoint));
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
    public void An_instance_of_an_unknown_class_is_kept_as_its_name_and_data()
    {
        var top = Assert.IsType<Dictionary<object, object?>>(PyTorchFile.Read(Stored.Fixture("unknown_class.pt")));
        var args = Assert.IsType<UnknownPickleValue>(top["args"]);
        Assert.Equal("my_project.config.Config", args.Name);
        var state = Assert.IsType<Dictionary<object, object?>>(args.State);
        Assert.Equal(1L, state["a"]);
        Assert.Equal([3], Assert.IsType<HostTensor>(state["t"]).Shape);
    }

    [Fact]
    public void Settings_of_many_kinds_are_read()
    {
        var top = Assert.IsType<Dictionary<object, object?>>(PyTorchFile.Read(Stored.Fixture("exotic_args.pt")));
        var args = Assert.IsAssignableFrom<Dictionary<object, object?>>(top["args"]);
        Assert.Equal(
            [ElementType.BFloat16, "cuda:2", "/a/b", "caffè 中文", new System.Numerics.Complex(1, 2), System.Numerics.BigInteger.Pow(2, 70),
                new List<object?> { 2L, 3L }, new List<object?> { 4L }],
            [args["dtype"], args["device"], args["path"], args["unicode"], args["cplx"], args["big"], args["size"], args["frozen"]]);
        Assert.Equal("numpy.core.multiarray.scalar", Assert.IsType<UnknownPickleValue>(args["np_scalar"]).Name);
        var nested = Assert.IsType<List<object?>>(Assert.IsType<Dictionary<object, object?>>(args["nested"])["k"]);
        Assert.Equal([2], Assert.IsType<HostTensor>(Assert.IsType<Dictionary<object, object?>>(nested[0]).Values.Single()).Shape);
    }

    [Fact]
    public void An_incomplete_download_is_refused()
        => Assert.Contains(
            "bad_truncated.pt", Stored.Refused(() => PyTorchFile.Read(Stored.Fixture("bad_truncated.pt"))).Message, StringComparison.Ordinal);

    [Fact]
    public void A_web_page_is_refused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["a.pt"], "<html>404</html>");
        Assert.Contains("web page", Stored.Refused(() => PyTorchFile.Read(folder["a.pt"])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_whole_model_is_refused_by_its_class()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(
            folder["a.pt"], PickleBuilder.Checkpoint(new PickleBuilder().Global("torch.nn.modules.linear", "Linear").Raw((byte)')', 0x81).Bytes()));
        Assert.Contains(
            "'torch.nn.modules.linear.Linear'", Stored.Refused(() => PyTorchFile.ReadStateDict(folder["a.pt"])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Damage_is_refused_or_harmless()
    {
        var whole = PickleBuilder.Checkpoint(
            new PickleBuilder().Dictionary().Text("w").Tensor("0", 4, 1, [3], [1]).SetItem().Bytes(), ("0", new byte[16]));
        Stored.AssertRefusedWhenTruncated(whole, path => PyTorchFile.Read(path));
        Stored.AssertSafeWhenDamaged(whole, path => PyTorchFile.Read(path));
    }

    [Theory]
    [InlineData("views.pt")]
    [InlineData("views_legacy.pt")]
    public void Truncation_of_a_real_file_is_refused(string checkpoint)
        => Stored.AssertRefusedWhenTruncated(File.ReadAllBytes(Stored.Fixture(checkpoint)), path => PyTorchFile.Read(path));
}
