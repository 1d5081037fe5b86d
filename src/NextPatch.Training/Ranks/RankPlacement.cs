using System.IO.Hashing;
using System.Text;
using NextPatch.Core;
using NextPatch.Torch.Devices;

namespace NextPatch.Training.Ranks;

/// <summary>How ranks are spread over machines, told apart by their names.</summary>
/// <param name="LocalRank">Ranks before this one on its machine.</param>
/// <param name="LocalSize">Ranks on its machine.</param>
/// <param name="Machines">How many there are.</param>
internal readonly record struct RankPlacement(int LocalRank, int LocalSize, int Machines)
{
    /// <summary>Asks all ranks, which call it together.</summary>
    public static RankPlacement Find(ICommunicator ranks)
    {
        var machine = XxHash3.HashToUInt64(Encoding.UTF8.GetBytes(Environment.MachineName));
        var all = ranks.AllGather(machine, "the names of the machines");
        return new(all.Take(ranks.Rank).Count(m => m == machine), all.Count(m => m == machine), all.Distinct().Count());
    }

    /// <summary>The device of this rank: of several GPUs each rank of a machine takes its own, unless a number is named.</summary>
    /// <param name="named">What the run names, the same on all ranks.</param>
    /// <param name="devices">What can compute here.</param>
    /// <exception cref="ConfigException">There are more ranks than GPUs.</exception>
    public string DeviceFor(string named, IReadOnlyList<string> devices)
    {
        if (named != TorchDevices.Cuda || LocalSize == 1)
        {
            return named;
        }

        var gpus = devices.Where(d => d.StartsWith(TorchDevices.Cuda, StringComparison.Ordinal)).ToList();
        return LocalSize <= gpus.Count ? gpus[LocalRank] : throw new ConfigException(
            $"{LocalSize} ranks were started on this machine, which has {gpus.Count} GPUs; start as many ranks as there are, or let all share one by "
            + "its number (Device cuda:0).")
        { Settings = ["Device"] };
    }
}
