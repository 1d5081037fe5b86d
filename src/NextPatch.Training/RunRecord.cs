using System.Text.Json;
using System.Text.Json.Serialization;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;
using NextPatch.Data.Codes;
using NextPatch.Torch.Devices;
using NextPatch.Training.Gpt;
using NextPatch.Training.Runs;

namespace NextPatch.Training;

/// <summary>What a run remembers to be continued by nothing but its folder: <c>run.json</c>.</summary>
internal sealed record RunRecord
{
    public const string FileName = "run.json";

    public int FormatVersion { get; init; } = 1;

    /// <summary>Model and training settings, and the tokenizer.</summary>
    public required CheckpointConfig Config { get; init; }

    /// <summary>Full path of the codes.</summary>
    public required string Codes { get; init; }

    /// <summary>SHA-256 of their codes.npy; null where their manifest does not say it.</summary>
    public string? CodesHash { get; init; }

    /// <summary>Full paths of the features of captions, and their shares; null where classes condition the model.</summary>
    public IReadOnlyList<TextFeatureSet>? TextFeatures { get; init; }

    /// <summary>Full path of the weights it started from; null = drawn from the seed.</summary>
    public string? InitialWeights { get; init; }

    public long CheckpointEvery { get; init; }

    public int KeepLast { get; init; }

    public FullDiskAction OnFullDisk { get; init; }

    public int StopAfterSkips { get; init; }

    public long ValidateEvery { get; init; }

    public int ValidationImages { get; init; }

    public long LogEvery { get; init; }

    public long SampleEvery { get; init; }

    public long MeasureEvery { get; init; }

    public bool Recompute { get; init; }

    /// <summary>As <see cref="GptRunOptions.Device"/>; null: the processor.</summary>
    public string? Device { get; init; }

    public bool Tf32 { get; init; }

    /// <summary>As <see cref="GptRunOptions.Bf16Gradients"/>: it decides what ranks compute, so a run keeps it.</summary>
    public bool Bf16Gradients { get; init; }

    /// <summary>As <see cref="GptRunOptions.MetricSettings"/>.</summary>
    public IReadOnlyDictionary<string, string>? MetricSettings { get; init; }

    /// <summary>What a request amounts to.</summary>
    public static RunRecord From(GptTrainingRequest request, CheckpointConfig config, CodeManifest codes) => new()
    {
        Config = config,
        Codes = Path.GetFullPath(request.Codes),
        CodesHash = HashOf(codes),
        TextFeatures = request.TextFeatures.Count == 0 ? null
            : [.. request.TextFeatures.Select(f => f with { Folder = Path.GetFullPath(f.Folder) })],
        InitialWeights = request.InitialWeights is null ? null : Path.GetFullPath(request.InitialWeights),
        CheckpointEvery = request.Run.CheckpointEvery,
        KeepLast = request.Run.KeepLast,
        OnFullDisk = request.Run.OnFullDisk,
        StopAfterSkips = request.Run.StopAfterSkips,
        ValidateEvery = request.Run.ValidateEvery,
        ValidationImages = request.Run.ValidationImages,
        LogEvery = request.Run.LogEvery,
        SampleEvery = request.Run.SampleEvery,
        MeasureEvery = request.Run.MeasureEvery,
        Recompute = request.Run.Recompute,
        Device = TorchDevices.IsCpu(request.Run.Device) ? null : request.Run.Device,
        Tf32 = request.Run.Tf32,
        Bf16Gradients = request.Run.Bf16Gradients ?? false,
        MetricSettings = request.Run.MetricSettings,
    };

    /// <summary>Null where a run has none: it was begun by an earlier version, or not by <see cref="GptTraining"/>.</summary>
    /// <exception cref="DataFormatException">It is damaged.</exception>
    public static RunRecord? Read(string run)
        => File.Exists(Path.Combine(run, FileName)) ? ConfigJson.Read(Path.Combine(run, FileName), RunRecordJson.Default.RunRecord) : null;

    /// <summary>Puts it into the run's folder, which must be locked; a full disk leaves the run without it.</summary>
    public void Write(string run, Action<string>? note)
    {
        try
        {
            AtomicFile.WriteText(
                Path.Combine(run, FileName), JsonSerializer.Serialize(this, RunRecordJson.Default.RunRecord),
                    Path.Combine(run, FileName + ".writing"));
        }
        catch (Exception e) when (DiskTrouble.Is(e))
        {
            note?.Invoke($"{FileName} could not be written, so the run cannot be continued by its folder alone: {e.Message}");
        }
    }

    /// <exception cref="NextPatchException">A run is to be continued, and its codes are not where they were.</exception>
    public static void RequireCodes(GptTrainingRequest request)
    {
        if (request.Run.Resume && !Directory.Exists(request.Codes) && Read(request.Run.Output) is { } record)
        {
            throw new NextPatchException(
                $"The run in {request.Run.Output} was trained on the codes in {record.Codes}, which are not there any more; say with Codes where "
                    + $"they are.")
            { Settings = ["Codes"] };
        }
    }

    /// <summary>Refuses other codes than those of the run.</summary>
    /// <exception cref="ConfigException">They are others.</exception>
    public void RequireSame(string folder, CodeManifest codes)
    {
        if (CodesHash is { } expected && HashOf(codes) is { } found && found != expected)
        {
            throw new ConfigException(
                $"The run was trained on the codes that lay in {Codes} (SHA-256 {expected[..Math.Min(12, expected.Length)]}), but those in "
                + $"{folder} are others ({found[..Math.Min(12, found.Length)]}); name the right ones with Codes, or start another run from its "
                + "weights with InitialWeights.")
            { Settings = ["Codes", "InitialWeights"] };
        }
    }

    /// <summary>How gradients travel in a run that goes on: as it began.</summary>
    /// <param name="asked">What is asked for; null: nothing.</param>
    /// <exception cref="ConfigException">Something else is asked for.</exception>
    public bool GradientsFor(bool? asked) => asked is { } given && given != Bf16Gradients
        ? throw new ConfigException(
            $"The run's gradients travel between ranks as {NameOf(Bf16Gradients)}, but {NameOf(given)} is asked for (Bf16Gradients), "
            + "which gives other "
            + "numbers. Leave it out, or start another run from its weights with InitialWeights.")
        { Settings = ["Bf16Gradients", "InitialWeights"] }
        : Bf16Gradients;

    private static string NameOf(bool isBf16) => isBf16 ? "bf16" : "fp32";

    /// <summary>The request that continues the run.</summary>
    /// <param name="run">Its folder.</param>
    /// <exception cref="NextPatchException">There is no run.</exception>
    public static GptTrainingRequest Request(string run)
    {
        var record = Read(run);
        var config = record?.Config ?? StoredConfig(run);
        return new GptTrainingRequest
        {
            Codes = record?.Codes ?? "",
            Model = config.Model,
            FitsToCodes = false,
            Training = config.Training ?? throw new ConfigException($"{run} holds weights without settings of a run; it cannot be continued."),
            TextFeatures = record?.TextFeatures ?? [],
            InitialWeights = record?.InitialWeights,
            Tokenizer = config.TokenizerPath is { } tokenizer && Path.Exists(tokenizer) ? tokenizer : null, // else the codes may know where it is
            Run = record is null ? new GptRunOptions { Output = run, Resume = true } : new GptRunOptions
            {
                Output = run, Resume = true, CheckpointEvery = record.CheckpointEvery, KeepLast = record.KeepLast, OnFullDisk = record.OnFullDisk,
                StopAfterSkips = record.StopAfterSkips, ValidateEvery = record.ValidateEvery, ValidationImages = record.ValidationImages,
                LogEvery = record.LogEvery, SampleEvery = record.SampleEvery, MeasureEvery = record.MeasureEvery, Recompute = record.Recompute,
                MetricSettings = record.MetricSettings, Device = record.Device ?? TorchDevices.Cpu, Tf32 = record.Tf32,
            },
        };
    }

    private static CheckpointConfig StoredConfig(string run)
    {
        foreach (var checkpoint in new CheckpointFolder(run).All().Reverse())
        {
            var file = Path.Combine(run, checkpoint, "config.json");
            if (File.Exists(file))
            {
                return ConfigJson.Read(file, ConfigJson.Default.CheckpointConfig);
            }
        }

        throw new NextPatchException($"{run} is no run that could be continued: it has neither {RunRecord.FileName} nor a checkpoint.");
    }

    private static string? HashOf(CodeManifest codes) => codes.FileHashes?.GetValueOrDefault("codes.npy");
}

[JsonSourceGenerationOptions(
    AllowDuplicateProperties = false, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true, UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, IgnoreReadOnlyProperties = true)]
[JsonSerializable(typeof(RunRecord))]
internal sealed partial class RunRecordJson : JsonSerializerContext;
