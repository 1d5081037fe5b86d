using System.Text.RegularExpressions;
using NextPatch.Core.Patches;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Patches;

namespace NextPatch.Goldens.Cases;

/// <summary>Patch means and patch targets at every recorded patch side.</summary>
internal static partial class PatchifyCase
{
    public static void Run(CaseRun run)
    {
        var arrays = run.Golden.Arrays();
        foreach (var item in run.Golden.Config["items"]!.AsArray())
        {
            var key = (string)item!["key"]!;
            var side = GoldenCase.SideOf((long)item["N"]!);
            foreach (var (name, expected) in arrays.Where(a => a.Key.StartsWith(key + ".", StringComparison.Ordinal)))
            {
                if (Recorded().Match(name[(key.Length + 1)..]) is not { Success: true } match)
                {
                    continue;
                }

                var what = match.Groups[1].Value;
                var grouping = new MeanPatchGrouping(new PatchGeometry(side, int.Parse(match.Groups[2].Value)));
                var input = StateLoader.ToTensor(arrays[$"{key}.{what}"]);
                if (what == "emb")
                {
                    run.Close(name, grouping.Group(input), expected, run.Golden.Tolerance("default"));
                }
                else
                {
                    run.Close(name, IPatchGrouping.ByPatch(input, grouping.Geometry), expected, run.Golden.Tolerance("tgt"));
                }
            }
        }
    }

    [GeneratedRegex(@"^(emb|tgt)_p(\d+)$")]
    private static partial Regex Recorded();
}
