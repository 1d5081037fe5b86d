using System.Runtime.InteropServices;
using NextPatch.Core.Configuration;
using NextPatch.Training.Gpt;

namespace NextPatch.Training.Tests.Gpt;

public sealed class StepMemoryTests
{
    private const long GiB = 1L << 30;

    private static readonly GptConfig Model = GptPresets.Get("B");

    private static readonly TrainingConfig Training = TrainingRecipes.Get("paper", Model).Training with
    {
        StepImplementation = StepImplementation.Reference,
        BatchSize = 8192,
        MicroBatch = 32,
    };

    /// <summary>As many images as fit, and not one more.</summary>
    [Theory]
    [InlineData(ComputePrecision.Fp32, 24, false)]
    [InlineData(ComputePrecision.Fp32, 80, false)]
    [InlineData(ComputePrecision.Bf16, 24, false)]
    [InlineData(ComputePrecision.Bf16, 10, true)]
    public void The_largest_micro_batch_is_the_last_that_fits(ComputePrecision precision, long size, bool recompute)
    {
        var training = Training with { Precision = precision };
        var largest = new StepMemory(Model, training, isDevice: true).LargestMicroBatch(size * GiB, recompute);
        long Needed(int images)
        {
            var memory = new StepMemory(Model, training with { MicroBatch = images }, isDevice: true);
            return memory.Parameters + memory.Activations(recompute);
        }

        Assert.InRange(largest, 1, 8191);
        Assert.True(Needed(largest) <= 0.9 * size * GiB);
        Assert.True(Needed(largest + 1) > 0.9 * size * GiB);
    }

    [Fact]
    public void Half_the_type_fits_more_and_so_does_recomputing()
    {
        int Largest(ComputePrecision precision, bool recompute)
            => new StepMemory(Model, Training with { Precision = precision }, isDevice: true).LargestMicroBatch(40 * GiB, recompute);
        Assert.True(Largest(ComputePrecision.Bf16, false) > 1.3 * Largest(ComputePrecision.Fp32, false));
        Assert.True(Largest(ComputePrecision.Fp32, true) > 4 * Largest(ComputePrecision.Fp32, false));
        Assert.Equal(0, new StepMemory(Model, Training, isDevice: true).LargestMicroBatch(2 * GiB, recompute: true));
    }

    [Theory]
    [InlineData("CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 79.15 GiB total capacity)", true)]
    [InlineData("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.", true)]
    [InlineData("The size of tensor a (3) must match the size of tensor b (4)", false)]
    public void What_libtorch_says_when_memory_is_used_up_is_known(string message, bool isExhausted)
        => Assert.Equal(isExhausted, StepMemory.IsExhausted(new ExternalException(message)));

    [Fact]
    public void Who_runs_out_of_memory_is_told_what_fits()
    {
        string Say(long? bytes, bool recompute = false, int micro = 32)
            => new StepMemory(Model, Training with { MicroBatch = micro }, isDevice: true)
                .Exhausted("cuda:0", bytes, recompute, new ExternalException("CUDA out of memory.")).Message;
        var memory = new StepMemory(Model, Training, isDevice: true);
        var (plain, again) = (memory.LargestMicroBatch(8 * GiB, false), memory.LargestMicroBatch(8 * GiB, true));
        Assert.StartsWith(
            "The memory of cuda:0 is used up: steps with micro-batches of 32 images need about ", Say(8 * GiB), StringComparison.Ordinal);
        Assert.EndsWith(
            $", and it has 8 GiB. A MicroBatch of {plain} fits, or one of {again} with Recompute.", Say(8 * GiB), StringComparison.Ordinal);
        Assert.EndsWith($"A MicroBatch of {again} fits.", Say(8 * GiB, recompute: true, micro: 4096), StringComparison.Ordinal);
        Assert.EndsWith("Not even one image fits; take a smaller preset.", Say(2 * GiB), StringComparison.Ordinal);
        Assert.EndsWith("try a MicroBatch of 16.", Say(800 * GiB), StringComparison.Ordinal);
        Assert.EndsWith("Try a MicroBatch of 16, or Recompute.", Say(null), StringComparison.Ordinal);
    }
}
