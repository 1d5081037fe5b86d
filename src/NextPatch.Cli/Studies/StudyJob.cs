using System.Text.Json;
using NextPatch.Cli.Rendering;
using NextPatch.Core;
using NextPatch.Core.Files;
using NextPatch.Data.Codes;
using NextPatch.Training;

namespace NextPatch.Cli.Studies;

/// <summary>One <c>study</c> command: file, codes, pieces, results.</summary>
internal sealed class StudyJob
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private readonly string _path;
    private readonly string _codes;
    private readonly string? _tokenizer;
    private readonly string _output;
    private readonly StudyPlan _plan;
    private readonly IReadOnlyList<StudyTask> _tasks;
    private readonly ProgressReporter _progress;

    /// <param name="path">The study's file.</param>
    /// <param name="codes">Instead of the file's.</param>
    /// <param name="tokenizer">Instead of the file's.</param>
    /// <param name="output">Folder of the study.</param>
    /// <param name="progress">Is told what happens.</param>
    /// <exception cref="ConfigException">The file says what cannot work, or does not say which codes.</exception>
    public StudyJob(string path, string? codes, string? tokenizer, string output, ProgressReporter progress)
    {
        var file = StudyFile.Read(path);
        (_path, _output, _progress) = (path, output, progress);
        _codes = codes ?? file.Codes ?? throw new ConfigException($"The study '{path}' names no codes; name their folder with --codes.");
        _tokenizer = tokenizer ?? file.Tokenizer;
        if (file.Metric is not null)
        {
            _tokenizer = GptTraining.FindTokenizer(_tokenizer, _codes);
        }

        using var store = CodeStore.Open(_codes);
        _plan = new StudyPlan(file, store.Manifest, output);
        _tasks = StudyTask.From(_plan);
    }

    public string ResultsPath => Path.Combine(_output, "study.json");

    public string PagePath => Path.Combine(_output, "study.html");

    /// <summary>Does all that is left.</summary>
    /// <param name="jobs">Pieces side by side; 1 = here.</param>
    /// <param name="cancellation">Stops it; the next call goes on.</param>
    /// <returns>Whether all is done.</returns>
    public async Task<bool> RunAsync(int jobs, CancellationToken cancellation)
    {
        Directory.CreateDirectory(_output);
        using var folder = FolderLock.Take(_output, ".lock");
        var runner = new StudyRunner(_tasks, jobs, _progress);
        runner.RequireSame();
        _progress.WriteLine($"{_tasks.Count} pieces, {_tasks.Count(t => t.IsDone())} of them done; {_plan.Images:N0} images a run.");
        using var worker = Worker(showsMeasuring: true);
        var isDone = await runner.RunAsync((task, onProgress, stop) => jobs == 1
            ? Task.FromResult(Do(worker, task, onProgress, stop))
            : StudyProcess.RunAsync(Words(), task.Name, Math.Max(1, Environment.ProcessorCount / jobs), onProgress, _progress.WriteLine, stop),
            Write, cancellation);
        Write();
        return isDone;
    }

    /// <summary>Does one piece here, for the process that started this one.</summary>
    public bool DoPiece(string name, Action<double, string> onProgress, CancellationToken cancellation)
    {
        using var worker = Worker(showsMeasuring: false);
        var task = _tasks.FirstOrDefault(t => t.Name == name) ?? throw new ConfigException($"The study has no piece '{name}'.");
        return Do(worker, task, onProgress, cancellation);
    }

    private StudyWorker Worker(bool showsMeasuring) => new(_plan, _codes, _tokenizer, _progress, showsMeasuring);

    private IEnumerable<string> Words()
        => [_path, "--codes", _codes, "--output", _output, .. _tokenizer is null ? Array.Empty<string>() : ["--tokenizer", _tokenizer]];

    private static bool Do(StudyWorker worker, StudyTask task, Action<double, string> onProgress, CancellationToken cancellation)
    {
        if (task.Guidance is { } schedule)
        {
            worker.ChooseGuidance(schedule, cancellation);
            return true;
        }

        return worker.Run(task.Run()!, isTrial: task.Name.StartsWith("tuning/", StringComparison.Ordinal), onProgress, cancellation);
    }

    private void Write()
    {
        var results = StudyResults.Read(_plan);
        AtomicFile.WriteText(ResultsPath, results.ToJson(_codes, _tokenizer).ToJsonString(Indented));
        AtomicFile.WriteText(PagePath, StudyPage.Render(results, _plan.File.Description ?? Path.GetFileName(_path)));
    }
}
