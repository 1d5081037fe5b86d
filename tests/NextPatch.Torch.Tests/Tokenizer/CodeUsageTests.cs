using NextPatch.Torch.Tokenizer;

namespace NextPatch.Torch.Tests.Tokenizer;

public sealed class CodeUsageTests
{
    [Fact]
    public void Perplexity_is_the_number_of_equally_frequent_codes()
    {
        var usage = new CodeUsage(8);
        Assert.Equal(0, usage.Perplexity);
        usage.Add([1, 3, 3, 1, 6, 6]);
        Assert.Equal(3, usage.Perplexity, 1e-12);
        Assert.Equal(3, usage.UsedCount);
        Assert.Equal([0, 2, 4, 5, 7], usage.FindDead());
        usage.Clear();
        usage.Add([7]);
        Assert.Equal((1.0, 1), (usage.Perplexity, usage.UsedCount));
    }
}
