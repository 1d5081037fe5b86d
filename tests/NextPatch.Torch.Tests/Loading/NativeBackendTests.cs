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
}
