using System.Reflection;
using NetArchTest.Rules;

namespace NextPatch.Cli.Tests;

/// <summary>Which project may use which: the arrows of the design. A project without a file here has no rule yet.</summary>
public sealed class ArchitectureTests
{
    private static readonly string[] Projects =
        ["NextPatch.Core", "NextPatch.Kernels", "NextPatch.Text", "NextPatch.Cpu", "NextPatch.Data", "NextPatch", "NextPatch.Torch",
        "NextPatch.Training", "NextPatch.Evaluation", "NextPatch.Server", "NextPatch.Cli"];

    [Theory]
    [InlineData("NextPatch.Core", "NextPatch.Data", "NextPatch.Torch", "NextPatch.Training", "NextPatch.Evaluation", "NextPatch.Cli", "TorchSharp",
        "SkiaSharp", "Microsoft.AspNetCore")]
    [InlineData("NextPatch.Kernels", "NextPatch.Data", "NextPatch.Torch", "NextPatch.Training", "NextPatch.Evaluation", "NextPatch.Cli", "TorchSharp",
        "SkiaSharp")]
    [InlineData("NextPatch", "NextPatch.Torch", "NextPatch.Training", "NextPatch.Evaluation", "NextPatch.Cli", "NextPatch.Server", "TorchSharp")]
    [InlineData("NextPatch.Cpu", "NextPatch.Data", "NextPatch.Torch", "NextPatch.Training", "NextPatch.Evaluation", "NextPatch.Cli", "TorchSharp",
        "SkiaSharp")]
    [InlineData("NextPatch.Text", "NextPatch.Data", "NextPatch.Cpu", "NextPatch.Torch", "NextPatch.Training", "NextPatch.Evaluation", "NextPatch.Cli",
        "TorchSharp", "SkiaSharp")]
    [InlineData("NextPatch.Data", "NextPatch.Torch", "NextPatch.Training", "NextPatch.Evaluation", "NextPatch.Cli", "TorchSharp")]
    [InlineData("NextPatch.Torch", "NextPatch.Data", "NextPatch.Training", "NextPatch.Evaluation", "NextPatch.Cli", "NextPatch.Server")]
    [InlineData("NextPatch.Training", "NextPatch.Evaluation", "NextPatch.Cli", "NextPatch.Server")]
    [InlineData("NextPatch.Server", "NextPatch.Cpu", "NextPatch.Kernels", "NextPatch.Torch", "NextPatch.Training", "NextPatch.Evaluation",
        "NextPatch.Cli",
        "TorchSharp", "SkiaSharp")]
    [InlineData("NextPatch.Evaluation", "NextPatch.Training", "NextPatch.Cli", "NextPatch.Server")]
    public void No_type_uses_what_its_project_must_not_reference(string project, params string[] forbidden)
    {
        var assembly = Assembly.Load(project);

        var result = Types.InAssembly(assembly).ShouldNot().HaveDependencyOnAny(forbidden).GetResult();

        Assert.True(result.IsSuccessful, $"{project} uses {string.Join(" or ", forbidden)} in "
            + $"{string.Join(", ", (result.FailingTypes ?? []).Select(t => t.FullName))}.");
        Assert.DoesNotContain(assembly.GetReferencedAssemblies(), reference => forbidden.Contains(reference.Name, StringComparer.OrdinalIgnoreCase));
    }

    [Fact]
    public void The_command_line_composes_them_all()
    {
        var used = typeof(Application).Assembly.GetReferencedAssemblies().Select(a => a.Name!).ToHashSet();

        Assert.All(["NextPatch.Core", "NextPatch.Data", "NextPatch", "NextPatch.Torch", "NextPatch.Training", "NextPatch.Evaluation",
            "NextPatch.Server"],
            project => Assert.Contains(project, used));
    }

    [Fact]
    public void A_type_lives_in_its_projects_namespace()
    {
        foreach (var project in Projects)
        {
            var assembly = project == "NextPatch.Cli" ? typeof(Application).Assembly : Assembly.Load(project);
            var forbidden = project == "NextPatch" ? Projects.Where(other => other != project).ToArray() : [];
            Assert.All(
                assembly.GetTypes().Where(
                    t => t is { IsNested: false, Namespace: not null } && t.Namespace.StartsWith("NextPatch", StringComparison.Ordinal)),
                type =>
                {
                    Assert.StartsWith(project, type.Namespace, StringComparison.Ordinal);
                    Assert.DoesNotContain(forbidden, other => type.Namespace!.StartsWith(other, StringComparison.Ordinal));
                });
        }
    }
}
