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
        => Assert.True(typeof(torch).Assembly.GetCustomAttribute<DebuggableAttribute>() is { IsJITOptimizerDisabled: true }, "The output holds the TorchSharp.dll of the package instead of the edited copy; see build/LibTorch.targets.");
}
