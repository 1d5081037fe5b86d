using System.Reflection;
using NextPatch.Torch.Loading;
using TorchSharp;
using Xunit;
using Xunit.v3;

namespace NextPatch.Testing;

/// <summary>Fails a test that leaves native tensors alive on its thread.</summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method)]
public sealed class NoTensorLeaksAttribute : BeforeAfterTestAttribute
{
    private long _before;

    public override void Before(MethodInfo methodUnderTest, IXunitTest test)
    {
        // A test may touch TorchSharp before anything of NextPatch.Torch, whose module initializer registers the resolver.
        NativeBackend.EnsureLoaded();
        _before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
    }

    public override void After(MethodInfo methodUnderTest, IXunitTest test)
    {
        var leaked = DisposeScopeManager.Statistics.ThreadTotalLiveCount - _before;
        Assert.True(leaked == 0, $"{test.TestDisplayName} left {leaked} tensors alive.");
    }
}
