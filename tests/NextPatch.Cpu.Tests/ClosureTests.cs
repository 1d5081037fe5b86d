using System.Reflection;
using NextPatch.Cpu.Generation;

namespace NextPatch.Cpu.Tests;

public sealed class ClosureTests
{
    [Fact]
    public void What_the_engine_needs_is_the_base_class_library_and_two_projects()
    {
        var seen = new Dictionary<string, Assembly>();
        Follow(typeof(CpuGenerationEngine).Assembly);
        Assert.Equal(
            ["NextPatch.Core", "NextPatch.Cpu", "NextPatch.Kernels"],
            seen.Keys.Where(name => !name.StartsWith("System.", StringComparison.Ordinal)).Order());

        void Follow(Assembly assembly)
        {
            if (seen.TryAdd(assembly.GetName().Name!, assembly) && assembly.GetName().Name!.StartsWith("NextPatch", StringComparison.Ordinal))
            {
                foreach (var reference in assembly.GetReferencedAssemblies())
                {
                    Follow(Assembly.Load(reference));
                }
            }
        }
    }
}
