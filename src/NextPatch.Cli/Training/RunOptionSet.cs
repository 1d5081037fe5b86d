using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Configuration;
using NextPatch.Training.Runs;

namespace NextPatch.Cli.Training;

/// <summary>Options of every command that trains: where the run lies, when it writes, and what stops it.</summary>
internal sealed class RunOptionSet
{
    private readonly Option<long> _checkpointEvery = new Option<long>("--checkpoint-every")
    {
        Description = "Steps between checkpoints; 0 = only at the end.", HelpName = "n", DefaultValueFactory = _ => 500,
    }.AtLeast(0L);
    private readonly Option<int> _keepLast;
    private readonly Option<FullDiskAction> _onFullDisk = new("--on-full-disk")
    {
        Description = "When a checkpoint cannot be written: retry (train on, try again, at the end until it works) or stop. The last one stays.",
        DefaultValueFactory = _ => FullDiskAction.Retry,
    };
    private readonly Option<int> _stopAfterSkips = new Option<int>("--stop-after-skips")
    {
        Description = "Steps whose loss or gradient is not finite are skipped; so many in a row end the run.", HelpName = "n",
        DefaultValueFactory = _ => 10,
    }.AtLeast(1);
    private readonly Option<long> _validateEvery;
    private readonly Option<long> _logEvery;

    /// <param name="output">What the folder is.</param>
    /// <param name="validation">What happens every so many steps, with the held-out images.</param>
    /// <param name="keepLast">Checkpoints that stay, by default.</param>
    /// <param name="logEvery">Steps between lines of metrics, by default.</param>
    /// <param name="resume">What <c>--resume</c> does.</param>
    /// <param name="optionsFile">Where runs hold the options of their command; null: they do not, and the command says itself what it needs.</param>
    public RunOptionSet(string output, string validation, int keepLast, long logEvery, string resume, string? optionsFile = null)
    {
        Output = new("--output") { Description = output, HelpName = "dir", Required = optionsFile is not null };
        Resume = new ResumeOption(resume) { OptionsFile = optionsFile };
        _keepLast = new Option<int>("--keep-last")
        {
            Description = "Checkpoints that stay.", HelpName = "n", DefaultValueFactory = _ => keepLast,
        }.AtLeast(1);
        _validateEvery = new Option<long>("--validate-every")
        {
            Description = $"Steps between {validation}; 0 = only at the end.", HelpName = "n", DefaultValueFactory = _ => 500,
        }.AtLeast(0L);
        _logEvery = new Option<long>("--log-every")
        {
            Description = "Steps between lines of metrics.", HelpName = "n", DefaultValueFactory = _ => logEvery,
        }.AtLeast(1L);
    }

    public Option<string> Output { get; }

    public ResumeOption Resume { get; }

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[
            ConfigFile.CreateOption(), Output, Resume, _checkpointEvery, _keepLast, _onFullDisk, _stopAfterSkips, _validateEvery, _logEvery])
        {
            command.Add(option);
        }
    }

    /// <summary>Adds what the command line says of any run to what <paramref name="frame"/> has of its own, output among it.</summary>
    public T Fill<T>(ParseResult parsed, T frame)
        where T : RunOptions => frame with
        {
            Resume = Resume.IsGiven(parsed),
            CheckpointEvery = parsed.GetRequiredValue(_checkpointEvery),
            KeepLast = parsed.GetRequiredValue(_keepLast),
            OnFullDisk = parsed.GetRequiredValue(_onFullDisk),
            StopAfterSkips = parsed.GetRequiredValue(_stopAfterSkips),
            ValidateEvery = parsed.GetRequiredValue(_validateEvery),
            LogEvery = parsed.GetRequiredValue(_logEvery),
        };

    /// <summary>Changes of what a run remembers only what the command line gives.</summary>
    public T FillGiven<T>(ParseResult parsed, T remembered)
        where T : RunOptions
    {
        TValue Of<TValue>(Option<TValue> option, TValue value)
            => parsed.GetResult(option) is { Implicit: false } ? parsed.GetRequiredValue(option) : value;
        return remembered with
        {
            CheckpointEvery = Of(_checkpointEvery, remembered.CheckpointEvery),
            KeepLast = Of(_keepLast, remembered.KeepLast),
            OnFullDisk = Of(_onFullDisk, remembered.OnFullDisk),
            StopAfterSkips = Of(_stopAfterSkips, remembered.StopAfterSkips),
            ValidateEvery = Of(_validateEvery, remembered.ValidateEvery),
            LogEvery = Of(_logEvery, remembered.LogEvery),
        };
    }
}
