using System.Reflection;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;

namespace NextPatch.Sampling;

/// <summary>The model that comes with the library (<c>BuiltIn/README.md</c>).</summary>
internal static class BuiltInModel
{
    /// <summary>What stands for its path in names and messages.</summary>
    public const string Name = "quickstart";

    /// <summary>Of the temporary folders' names.</summary>
    internal const string FolderPrefix = "nextpatch-built-in-";

    private const string Prefix = "BuiltIn/";

    /// <summary>Loading takes a second.</summary>
    private static readonly TimeSpan Abandoned = TimeSpan.FromHours(1);

    /// <param name="backend">Computes; null = C# alone.</param>
    /// <param name="onConfig">Told the configuration before the weights load.</param>
    public static SampleModel Load(IComputeBackend? backend = null, Action<CheckpointConfig>? onConfig = null)
    {
        // Weights are read from files; these exist while they are.
        DeleteAbandoned();
        var folder = Directory.CreateTempSubdirectory(FolderPrefix);
        try
        {
            var assembly = Assembly.GetExecutingAssembly();
            foreach (var name in assembly.GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)))
            {
                var path = Path.Combine(folder.FullName, name[Prefix.Length..].Replace('\\', '/'));
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                using var from = assembly.GetManifestResourceStream(name)!;
                using var to = File.Create(path);
                from.CopyTo(to);
            }

            var model = SampleModel.Load(folder.FullName, backend: backend, onConfig: onConfig);
            model.ForgetTokenizerPath();
            return model;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NextPatchException($"The built-in model needs some megabytes of temporary files in '{folder.FullName}': {e.Message}", e);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>A process that is killed while it loads leaves its folder behind.</summary>
    private static void DeleteAbandoned()
    {
        foreach (var folder in new DirectoryInfo(Path.GetTempPath()).EnumerateDirectories(
            FolderPrefix + "*", new EnumerationOptions { IgnoreInaccessible = true }))
        {
            try
            {
                if (DateTime.UtcNow - folder.LastWriteTimeUtc > Abandoned)
                {
                    folder.Delete(recursive: true);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Somebody else's, or gone meanwhile.
            }
        }
    }
}
