using NextPatch.Core;

namespace NextPatch.Evaluation.Networks;

/// <summary>The published weights of the FID Inception network: where they come from, where they are kept, how they are known.</summary>
internal static class PytorchFidInception
{
    /// <summary>Name of the file; its end is the beginning of its hash.</summary>
    public const string FileName = "pt_inception-2015-12-05-6726825d.pth";

    /// <summary>Bytes of the file.</summary>
    public const long Length = 95_628_359;

    /// <summary>SHA-256 of the file.</summary>
    public const string Hash = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2";

    /// <summary>Where it is published (pytorch-fid, Apache-2.0).</summary>
    public const string Address = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/" + FileName;

    /// <summary>Where it is looked for: <c>nextpatch/</c> below <c>XDG_CACHE_HOME</c>, or else below <c>~/.cache</c>.</summary>
    public static string CachePath
    {
        get
        {
            var cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
            return Path.Combine(
                Path.IsPathFullyQualified(cache ?? "") ? cache! : Path.Combine(
                    Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache"), "nextpatch", FileName);
        }
    }

    /// <summary>The file in the cache.</summary>
    /// <exception cref="NextPatchException">It is not there: the message says where to get it and where to put it.</exception>
    internal static string Find() => File.Exists(CachePath)
        ? CachePath
        : throw new NextPatchException(
            $"The weights of the FID Inception network are not in the cache folder. {Whereabouts} Other networks are chosen by Weights, and "
                + $"distances in their features are no FID.")
        { Settings = ["Weights"] };

    /// <summary>Where to get it and where to put it.</summary>
    internal static string Whereabouts
        => $"'nextpatch fetch inception' gets it; or download {Address} (SHA-256 {Hash}) to '{CachePath}', or give the path of the file.";

    /// <exception cref="NextPatchException">The file in the cache is another one.</exception>
    internal static void Check(string path, string hash)
    {
        if (hash != Hash)
        {
            throw new NextPatchException(
                $"'{path}' has the SHA-256 {hash} but the published file has {Hash}; it is damaged or another file. Delete it and download "
                + $"{Address} again, or give the path of a file to use weights of your own.");
        }
    }
}
