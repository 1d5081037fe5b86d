using System.Diagnostics;
using System.Reflection;
using NextPatch.Torch.Loading;
using TorchSharp;

/// <summary>Whether the program runs the TorchSharp that survives garbage collections (docs/adr/0009): by its attribute, and by trying.</summary>
internal static class Safety
{
    private static readonly TimeSpan Time = TimeSpan.FromSeconds(5);

    /// <returns>The exit code: 0 where it is safe.</returns>
    public static int Check()
    {
        NativeBackend.EnsureLoaded();
        var assembly = typeof(torch).Assembly;
        var marked = assembly.GetCustomAttribute<DebuggableAttribute>() is { IsJITOptimizerDisabled: true };
        var (operations, collections, errors) = Try();
        Console.WriteLine($"TorchSharp {assembly.GetName().Version}, optimised: {(marked ? "no" : "YES")}, libtorch from {NativeBackend.LoadedFrom}");
        Console.WriteLine($"{operations} operations during {collections} collections, {errors} errors");
        return marked && errors == 0 && operations > 0 && collections > 0 ? 0 : 1;
    }

    private static (long Operations, int Collections, int Errors) Try()
    {
        using var stop = new CancellationTokenSource(Time);
        var before = GC.CollectionCount(0);
        Thread[] collectors = [new(Collect), new(Collect)];
        Array.ForEach(collectors, thread => thread.Start());
        var (operations, errors) = (0L, 0);
        while (!stop.IsCancellationRequested)
        {
            try
            {
                // A number becomes a finalisable Scalar whose address libtorch reads.
                using var x = torch.ones(8);
                using var sum = x + 1.5f;
                using var product = sum * 2;
                using var all = product.sum();
                errors += all.item<float>() == 40f ? 0 : 1;
                operations += 4;
            }
            catch (Exception e) when (e is System.Runtime.InteropServices.ExternalException or InvalidOperationException)
            {
                errors++;
            }
        }

        Array.ForEach(collectors, thread => thread.Join());
        return (operations, GC.CollectionCount(0) - before, errors);

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
