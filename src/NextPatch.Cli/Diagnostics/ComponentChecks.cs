using System.Reflection;
using NextPatch.Torch.Loading;
using SkiaSharp;
using TorchSharp;
using static TorchSharp.torch;

namespace NextPatch.Cli.Diagnostics;

/// <summary>Loads each native part and lets it do something small.</summary>
internal static class ComponentChecks
{
    private static readonly Version NeededLibStdCpp = new(3, 4, 32);

    /// <summary>Draws a pixel and reads it back.</summary>
    public static ComponentCheck Skia() => Check(
        "SkiaSharp", "reads and draws images",
        () =>
        {
            using var bitmap = new SKBitmap(new SKImageInfo(4, 4, SKColorType.Rgba8888));
            using var canvas = new SKCanvas(bitmap);
            canvas.Clear(SKColors.Teal);
            canvas.Flush();
            return (bitmap.GetPixel(2, 2) == SKColors.Teal, typeof(SKBitmap).Assembly.GetName().Version!.ToString(3), null);
        },
        _ => "The file libSkiaSharp should lie beside the program, or under runtimes/ there. Build again ('dotnet build -c Release'); on systems "
            + "other than Linux, Windows and macOS SkiaSharp has no native part.");

    /// <summary>Multiplies two small matrices.</summary>
    public static ComponentCheck LibTorch() => Check(
        "libtorch", "trains and generates",
        () =>
        {
            NativeBackend.EnsureLoaded();
            using var scope = NewDisposeScope();
            var product = nn.functional.linear(full([2, 3], 2f), full([4, 3], 0.5f)); // [2, 4], every element 3 * 2 * 0.5
            var binding = typeof(torch).Assembly.GetName().Version?.ToString(3);
            return (product.sum().item<float>() == 24f, $"{__version__} (TorchSharp {binding})", NativeBackend.LoadedFrom);
        },
        LibTorchRemedy);

    /// <summary>What to do when libtorch does not load.</summary>
    internal static string LibTorchRemedy(string problem)
    {
        // Messages about where it lies, or of what version it is, name the variable; the system's own words about loading it do not.
        if (!OperatingSystem.IsLinux() || problem.Contains(NativeBackend.FolderVariable, StringComparison.Ordinal))
        {
            return $"Get it with 'nextpatch doctor --get-libtorch', in a checkout with 'dotnet build -c Release', or set "
                + $"{NativeBackend.FolderVariable} "
                + "to a folder with libtorch and LibTorchSharp of the versions in Directory.Packages.props. On Windows libtorch also needs the "
                    + "Visual C++ redistributable.";
        }

        return LibStdCpp.Newest() switch
        {
            null => "The C++ library libstdc++.so.6 was not found. Install it (Debian, Ubuntu: apt-get install libstdc++6; Fedora: dnf install "
                + "libstdc++; Alpine and other musl systems are not supported by libtorch).",
            { } newest when newest < NeededLibStdCpp =>
                $"The system's libstdc++ offers GLIBCXX_{newest}, and TorchSharp asks for GLIBCXX_{NeededLibStdCpp}. Build again with 'dotnet "
                    + $"build -c Release', whose build step makes its copy content with the older one, or upgrade the system (Debian 13, Ubuntu "
                    + $"24.04 or later).",
            { } newest => $"The system's libstdc++ is new enough (GLIBCXX_{newest}). The message above names the library that is missing; install "
                + $"it, or build again with 'dotnet build -c Release' if a file is damaged.",
        };
    }

    private static ComponentCheck Check(
        string name, string purpose, Func<(bool IsRight, string? Version, string? Location)> attempt, Func<string, string> remedy)
    {
        try
        {
            var (isRight, version, location) = attempt();
            return isRight
                ? new ComponentCheck(name, purpose, true, version, location, null, null)
                : new ComponentCheck(
                    name, purpose, false, version, location, "It loads but gives a wrong result.",
                    "Build again with 'dotnet build -c Release'; if that does not help, please report it with the processor named above.");
        }
#pragma warning disable CA1031 // Whatever happens while loading is the finding.
        catch (Exception e)
#pragma warning restore CA1031
        {
            var cause = e is TargetInvocationException or TypeInitializationException ? e.GetBaseException() : e;
            return new ComponentCheck(name, purpose, false, null, null, cause.Message, remedy(cause.Message));
        }
    }
}

/// <summary>Whether one native part loads and computes.</summary>
/// <param name="Name">What it is called.</param>
/// <param name="Purpose">What needs it.</param>
/// <param name="Works">It loaded and gave the right answer.</param>
/// <param name="Version">Its version, where it loaded.</param>
/// <param name="Location">Where it was loaded from, or null.</param>
/// <param name="Problem">The system's own words, where it does not work.</param>
/// <param name="Remedy">What to do about it.</param>
internal sealed record ComponentCheck(string Name, string Purpose, bool Works, string? Version, string? Location, string? Problem, string? Remedy);
