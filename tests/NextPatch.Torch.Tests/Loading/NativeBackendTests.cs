using System.Diagnostics;
using System.Reflection;
using NextPatch.Torch.Loading;
using TorchSharp;

namespace NextPatch.Torch.Tests.Loading;

[NoTensorLeaks]
public sealed class NativeBackendTests
{
    [Fact]
    public void Libtorch_loads_from_the_shared_folder()
    {
        NativeBackend.EnsureLoaded();
        using var x = torch.ones(2, 3);
        using var sum = x.sum();
        Assert.Equal(6f, sum.item<float>());
        Assert.EndsWith(Path.Combine("libtorch", "linux-x64"), NativeBackend.LoadedFrom, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(AppContext.BaseDirectory, "*torch_cpu*", SearchOption.AllDirectories));
    }

    /// <summary>Optimised, TorchSharp lets libtorch read numbers that the garbage collector has freed (docs/adr/0009).</summary>
    [Fact]
    public void TorchSharp_runs_unoptimised_so_that_operands_live_until_an_operation_is_done()
        => Assert.True(
            typeof(torch).Assembly.GetCustomAttribute<DebuggableAttribute>() is { IsJITOptimizerDisabled: true },
            "The output holds the TorchSharp.dll of the package instead of the edited copy; see build/LibTorch.targets.");

    /// <summary>
    /// With a version of its own a build prefers the edited copy to the package's, and the runtime refuses that one (docs/adr/0014).
    /// </summary>
    [Fact]
    public void TorchSharp_is_newer_than_the_package_and_so_is_what_we_were_compiled_against()
    {
        Assert.Equal(new Version(0, 107, 0, 1), typeof(torch).Assembly.GetName().Version);
        Assert.Equal(new Version(0, 107, 0, 1), typeof(NativeBackend).Assembly.GetReferencedAssemblies().Single(a => a.Name == "TorchSharp").Version);
    }

    [Fact]
    public void Numbers_outlive_the_operations_that_read_them_while_garbage_is_collected()
    {
        using var stop = new CancellationTokenSource();
        Thread[] collectors = [new(Collect), new(Collect)];
        Array.ForEach(collectors, thread => thread.Start());
        try
        {
            for (var i = 0; i < 20_000; i++)
            {
                using var x = torch.ones(8);
                using var sum = x + 1.5f;
                using var product = sum * 2;
                using var total = product.sum();
                Assert.Equal(40f, total.item<float>());
            }
        }
        finally
        {
            stop.Cancel();
            Array.ForEach(collectors, thread => thread.Join());
        }

        void Collect()
        {
            while (!stop.IsCancellationRequested)
            {
                GC.Collect(0);
                GC.WaitForPendingFinalizers();
            }
        }
    }
}
