using System.Diagnostics;

namespace NextPatch.Core.Tests;

/// <summary>A Python interpreter with a module that tests compare against: the one that NEXTPATCH_PYTHON names, else python3.</summary>
internal sealed class Python
{
    private readonly string _interpreter;

    private Python(string interpreter) => _interpreter = interpreter;

    /// <summary>Skips the test where no interpreter has the module.</summary>
    public static Python With(string module)
    {
        var found = Candidates().FirstOrDefault(path => HasModule(path, module));
        Assert.SkipWhen(found is null, $"no Python with {module} was found (Debian: python3-{module}; or name one by NEXTPATCH_PYTHON)");
        return new Python(found!);
    }

    public async Task RunAsync(params string[] arguments)
    {
        using var process = Start(_interpreter, arguments);
        var error = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, error);
    }

    // The system's own interpreter too: another one is often put before it on the path.
    private static IEnumerable<string> Candidates()
        => Environment.GetEnvironmentVariable("NEXTPATCH_PYTHON") is { Length: > 0 } named ? [named] : ["python3", "/usr/bin/python3"];

    private static bool HasModule(string interpreter, string module)
    {
        try
        {
            using var process = Start(interpreter, "-c", $"import importlib.util, sys; sys.exit(importlib.util.find_spec('{module}') is None)");
            process.StandardError.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false; // no such program
        }
    }

    private static Process Start(string interpreter, params string[] arguments)
        => Process.Start(new ProcessStartInfo(interpreter, arguments) { RedirectStandardError = true })!;
}
