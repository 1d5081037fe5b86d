using System.CommandLine;
using Mono.Cecil;
using Mono.Cecil.Cil;
using NextPatch.Conversion;
using NextPatch.Sampling;

namespace NextPatch.Cli.Tests;

/// <summary>What libraries say names their properties: a program that uses them has no command line.</summary>
public sealed class LibraryTextTests
{
    /// <summary>They write command lines down: in the metadata of an image, and for readers of exported weights.</summary>
    private static readonly string[] Allowed = [typeof(SampleText).FullName!, typeof(ModelCard).FullName!];

    public static TheoryData<string> Libraries
        => [.. FolderCycleTests.Projects.Select(p => p.Data).Where(p => p is not ("NextPatch.Cli" or "NextPatch.Benchmarks"))];

    [Theory]
    [MemberData(nameof(Libraries))]
    public void No_text_of_a_library_names_an_option(string project)
    {
        var options = Options(Application.CreateRoot()).ToHashSet();
        Assert.Contains("--output", options);
        using var assembly = AssemblyDefinition.ReadAssembly(Path.Combine(AppContext.BaseDirectory, project + ".dll"));

        var found = assembly.MainModule.GetTypes().Where(t => !Allowed.Any(a => t.FullName.StartsWith(a, StringComparison.Ordinal)))
            .SelectMany(t => t.Methods).Where(m => m.HasBody)
            .SelectMany(m => m.Body.Instructions.Where(i => i.OpCode == OpCodes.Ldstr).Select(i => (Method: m.FullName, Text: (string)i.Operand)))
            .Where(t => t.Text.Split(' ', '\'', '"', ',', ';', '.', ':', '(', ')').Any(options.Contains));

        Assert.Empty(found);
    }

    private static IEnumerable<string> Options(Command command)
        => command.Options.Select(o => o.Name).Where(n => n.StartsWith("--", StringComparison.Ordinal))
            .Concat(command.Subcommands.SelectMany(Options));
}
