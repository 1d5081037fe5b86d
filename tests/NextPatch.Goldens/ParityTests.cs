namespace NextPatch.Goldens;

/// <summary>Every case of the goldens folder against the project.</summary>
[NoTensorLeaks]
public sealed class ParityTests : IClassFixture<ParityReport>
{
    private static readonly Lazy<GoldenFolder> Folder = new(GoldenFolder.Open);

    private readonly ParityReport _report;
    private readonly ITestOutputHelper _output;

    public ParityTests(ParityReport report, ITestOutputHelper output)
    {
        _report = report;
        _output = output;
    }

    public static TheoryData<string> Names() => [.. Folder.Value.Cases.Select(c => c.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Equals_the_recorded_result(string name)
    {
        var position = Folder.Value.Cases.Index().First(c => c.Item.Name == name).Index;
        var result = CaseKinds.Run(Folder.Value.Cases[position]);
        _report.Add(position, result);
        _output.WriteLine(result.ToString());
        Assert.True(result.Status != CaseStatus.Failed, result.ToString());
        Assert.SkipWhen(result.Status == CaseStatus.Unsupported, result.Detail);
    }
}
