using System.Runtime.CompilerServices;

namespace NextPatch.Training.Ranks;

/// <summary>Small values between ranks.</summary>
internal static unsafe class Collectives
{
    /// <summary>Every rank's value, in the order of ranks.</summary>
    public static T[] AllGather<T>(this ICommunicator ranks, T value, string what, bool isPatient = false)
        where T : unmanaged
    {
        var all = new T[ranks.Size];
        fixed (T* receive = all)
        {
            ranks.Begin(TransferKind.AllGather, (nint)(&value), (nint)receive, sizeof(T), what, isPatient).Wait();
        }

        return all;
    }

    /// <summary>Rank 0's value; the others' arguments are not looked at.</summary>
    public static T Broadcast<T>(this ICommunicator ranks, T value, string what, bool isPatient = false)
        where T : unmanaged
    {
        ranks.Begin(TransferKind.Broadcast, (nint)(&value), (nint)(&value), sizeof(T), what, isPatient).Wait();
        return value;
    }

    /// <summary>Fills the others' memory with rank 0's.</summary>
    public static void Broadcast<T>(this ICommunicator ranks, Span<T> values, string what, bool isPatient = false)
        where T : unmanaged
    {
        const int most = 1 << 30;
        fixed (T* address = values)
        {
            for (var (at, bytes) = (0L, (long)values.Length * Unsafe.SizeOf<T>()); at < bytes; at += most)
            {
                var part = (nint)address + (nint)at;
                ranks.Begin(TransferKind.Broadcast, part, part, (int)Math.Min(most, bytes - at), what, isPatient).Wait();
            }
        }
    }

    /// <summary>Rank 0's bytes; null where it gives null.</summary>
    public static byte[]? BroadcastBytes(this ICommunicator ranks, byte[]? bytes, string what)
    {
        var length = ranks.Broadcast(bytes?.Length ?? -1, what, isPatient: true);
        if (length < 0)
        {
            return null;
        }

        var received = ranks.Rank == 0 ? bytes! : new byte[length];
        ranks.Broadcast(received.AsSpan(), what);
        return received;
    }

    /// <summary>The sum of every rank's value, in the order of ranks.</summary>
    public static double Sum(this ICommunicator ranks, double value, string what)
    {
        var sum = 0.0;
        foreach (var part in ranks.AllGather(value, what))
        {
            sum += part;
        }

        return sum;
    }
}
