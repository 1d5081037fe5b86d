using NextPatch.Text.Encoders;

namespace NextPatch.Text.Tests;

public sealed class ClosureTests
{
    [Fact]
    public void Text_needs_the_base_class_library_and_two_projects()
        => Assert.Equal(["NextPatch.Core", "NextPatch.Kernels"],
            typeof(T5Encoder).Assembly.GetReferencedAssemblies().Select(a => a.Name!).Where(
                n => !n.StartsWith("System.", StringComparison.Ordinal)).Order());
}
