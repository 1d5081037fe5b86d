using System.Text.Json.Serialization;
using NextPatch.Core.Patches;

namespace NextPatch.Core.Configuration;

/// <summary>Everything that decides what a training run computes. Defaults are those of the published code (recipe <c>repository</c>).</summary>
public sealed record TrainingConfig
{
    private const string PublishedGrouping = "mean";

    /// <summary>Images per optimiser step.</summary>
    public int BatchSize { get; init; } = 256;

    /// <summary>Length of the run in epochs; ignored when <see cref="Steps"/> is given.</summary>
    public int Epochs { get; init; } = 300;

    /// <summary>Length of the run in optimiser steps; null = <see cref="Epochs"/>.</summary>
    public long? Steps { get; init; }

    /// <summary>Published patch level: 1 [1], 2 [2, 1], 3 [4, 2, 1], 4 [8, 4, 2, 1] patch sides.</summary>
    public int PatchLevel { get; init; } = 2;

    /// <summary>Explicit patch sides, coarsest first, instead of <see cref="PatchLevel"/>.</summary>
    public IReadOnlyList<int>? PatchSides { get; init; }

    /// <summary>Stage rate: stage i from the end starts at rate^i of the run.</summary>
    public double StageRate { get; init; } = 0.5;

    /// <summary>
    /// Explicit stages instead of <see cref="PatchLevel"/>, <see cref="PatchSides"/> and <see cref="StageRate"/>. Where they have steps,
    /// <see cref="Steps"/> is their sum.
    /// </summary>
    public IReadOnlyList<StageLength>? Stages { get; init; }

    /// <summary>How code embeddings become patch tokens, by a name that <c>PatchGroupings</c> of NextPatch.Torch knows. Published: mean.</summary>
    public string Grouping { get; init => field = value ?? PublishedGrouping; } = PublishedGrouping; // files from before it existed give null

    /// <summary>How much the codes of a patch count as targets, <see cref="PatchTargetWeights"/>; 0 = all the same, as published.</summary>
    public double TargetPower { get; init; }

    /// <summary>How many images a step of a coarse stage takes. Published: as many as any other step.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public CoarseBatch CoarseBatch { get; init; }

    /// <summary>
    /// Share of the images of each step, in every stage but the first, that go on being trained with the patches of the stage before; 0 = none, as
    /// published.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public double CoarseShare { get; init; }

    /// <summary>Where rotary positions place a patch. Published: in the grid of patches.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public PatchPosition PatchPosition { get; init; }

    /// <summary>Whether AdamW's moments begin anew with every stage; published: they are kept.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool ResetsMoments { get; init; }

    /// <summary>The course of the learning rate over the stages.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public LearningRateCourse LearningRateCourse { get; init; }

    /// <summary>
    /// A coarse stage ends early when what held-out images gain at p = 1 per FLOP falls below this share of the most it gained so far;
    /// 0 = stages end where they are said to, as published. The steps that are saved go to the stage after.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public double PlateauShare { get; init; }

    /// <summary>The peak learning rate of AdamW.</summary>
    public double LearningRate { get; init; } = 1e-4;

    /// <summary>Learning rate at the end of each stage's decay.</summary>
    public double EndLearningRate { get; init; } = 1e-5;

    /// <summary>Warm-up of each stage in epochs; ignored when <see cref="WarmupShare"/> is given.</summary>
    public double WarmupEpochs { get; init; } = 1;

    /// <summary>Warm-up of each stage as a share of the stage.</summary>
    public double? WarmupShare { get; init; }

    /// <summary>Share of each stage over which the rate decays.</summary>
    public double DecayRatio { get; init; } = 0.2;

    /// <summary>AdamW's decay of the first moment.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>AdamW's decay of the second moment.</summary>
    public double Beta2 { get; init; } = 0.95;

    /// <summary>What AdamW adds to the root of the second moment.</summary>
    public double AdamEpsilon { get; init; } = 1e-8;

    /// <summary>Decoupled weight decay of tensors with two or more dimensions.</summary>
    public double WeightDecay { get; init; } = 0.05;

    /// <summary>Largest gradient norm; 0 = no clipping.</summary>
    public double ClipNorm { get; init; } = 1.0;

    /// <summary>Decay of the EMA of the weights; 0 = no EMA.</summary>
    public double EmaDecay { get; init; } = 0.9999;

    /// <summary>
    /// Whether the decay warms up, min(decay, (1 + n) / (10 + n)) after n updates, so that short runs have a useful average; false = the published
    /// fixed decay.
    /// </summary>
    public bool EmaWarmup { get; init; } = true;

    /// <summary>The seed of order, crops, dropped labels and dropout.</summary>
    public ulong Seed { get; init; }

    /// <summary>Images per forward pass at patch side 1; smaller than the batch = gradient accumulation. 0 = the whole batch.</summary>
    public int MicroBatch { get; init; }

    /// <summary>Images per forward pass by patch side, where it should not be <see cref="MicroBatch"/> * p^2 (as many tokens as at p = 1).</summary>
    public IReadOnlyDictionary<int, int>? MicroBatchBySide { get; init; }

    /// <summary>Arithmetic of the matrix products; another one gives other numbers, so a run keeps it.</summary>
    public ComputePrecision Precision { get; init; }

    /// <summary>Who computes the steps; they round differently, so a run keeps it.</summary>
    public StepImplementation StepImplementation { get; init; }

    /// <summary>The patch sides that run, coarsest first.</summary>
    public IReadOnlyList<int> Sides
        => Stages is { } stages ? [.. stages.Select(s => s.PatchSide)] : PatchSides ?? PatchSchedule.LevelSides(PatchLevel);

    /// <summary>Images per optimiser step of a stage.</summary>
    public int ImagesPerStep(int patchSide) => CoarseBatch == CoarseBatch.Flops ? checked(BatchSize * patchSide * patchSide) : BatchSize;

    /// <summary>How many of these are trained with the patches of the stage before, where there is one.</summary>
    internal int CoarseImages(int patchSide) => (int)Math.Round(ImagesPerStep(patchSide) * CoarseShare);

    /// <summary>Images of the steps before a step: its place in the training stream.</summary>
    public long ImagesBefore(PatchSchedule schedule, long step)
        => schedule.Stages.Sum(s => Math.Clamp(step - s.Start, 0, s.StepCount) * ImagesPerStep(s.PatchSide));

    /// <summary>Images per forward pass at a patch side: by default as many tokens as at side 1, at most the batch.</summary>
    public int MicroBatchFor(int patchSide)
    {
        var most = ImagesPerStep(patchSide);
        if (MicroBatchBySide?.TryGetValue(patchSide, out var given) == true)
        {
            return Math.Min(given, most);
        }

        return MicroBatch == 0 ? most : (int)Math.Min((long)MicroBatch * patchSide * patchSide, most);
    }

    /// <summary>Optimiser steps per epoch (the last partial batch flows into the next epoch).</summary>
    public long StepsPerEpoch(long images) => Math.Max(1, images / BatchSize);

    /// <summary>Stage bounds in optimiser steps.</summary>
    /// <param name="images">Images of the training part.</param>
    public PatchSchedule CreateSchedule(long images)
    {
        var (units, stepsPerUnit) = (Steps ?? Epochs, Steps is null ? StepsPerEpoch(images) : 1);
        return Stages is { } stages
            ? PatchSchedule.Create(units * stepsPerUnit, stages)
            : PatchSchedule.Create(units, stepsPerUnit, Sides, StageRate);
    }

    /// <summary>The learning rate of each step.</summary>
    public LearningRateSchedule CreateLearningRate(PatchSchedule schedule, long images)
    {
        var stepsPerEpoch = StepsPerEpoch(images);
        if (LearningRateCourse == LearningRateCourse.Wsd)
        {
            schedule = PatchSchedule.Create(schedule.TotalSteps, [new StageLength(1, Steps: schedule.TotalSteps)]);
        }

        return new LearningRateSchedule(schedule, LearningRate, EndLearningRate,
            stage => WarmupShare is { } share ? share * stage.StepCount : WarmupEpochs * stepsPerEpoch, DecayRatio);
    }

    /// <summary>The settings of a run whose last stage goes on to another end; the other stages stay where they are.</summary>
    /// <param name="steps">Optimiser steps of the longer run.</param>
    /// <param name="images">Images of the training part.</param>
    /// <exception cref="ConfigException">The run is as long already.</exception>
    public TrainingConfig LengthenedTo(long steps, long images)
    {
        var schedule = CreateSchedule(images);
        if (steps < schedule.TotalSteps)
        {
            throw new ConfigException(
                $"ExtendTo {steps} is less than the {schedule.TotalSteps} steps that the run has; a run can only become longer.")
            { Settings = ["ExtendTo"] };
        }

        return steps == schedule.TotalSteps ? this : this with
        {
            Steps = steps,
            PatchSides = null,
            Stages = [.. schedule.Stages.Select(s => new StageLength(
                s.PatchSide, Steps: s.StepCount + (s.Index == schedule.Stages.Count - 1 ? steps - schedule.TotalSteps : 0)))],
        };
    }

    /// <exception cref="ConfigException">Some settings cannot work; every problem is listed.</exception>
    public TrainingConfig Validated(GptConfig model)
    {
        var problems = new List<string>();
        void Require(bool holds, string problem)
        {
            if (!holds)
            {
                problems.Add(problem);
            }
        }

        Require(BatchSize > 0, $"batchSize {BatchSize} must be at least 1");
        Require(Steps is null or > 0, $"steps {Steps} must be at least 1");
        Require(Steps is not null || Epochs > 0, $"epochs {Epochs} must be at least 1");
        Require(LearningRate > 0 && double.IsFinite(LearningRate), $"learningRate {LearningRate} must be greater than 0 and finite");
        Require(EndLearningRate >= 0 && double.IsFinite(EndLearningRate), $"endLearningRate {EndLearningRate} must be at least 0 and finite");
        Require(DecayRatio is >= 0 and <= 1, $"decayRatio {DecayRatio} must be between 0 and 1");
        Require(Beta1 is >= 0 and < 1 && Beta2 is >= 0 and < 1, $"betas ({Beta1}, {Beta2}) must be at least 0 and less than 1");
        Require(WeightDecay >= 0 && double.IsFinite(WeightDecay), $"weightDecay {WeightDecay} must be at least 0 and finite");
        Require(ClipNorm >= 0 && double.IsFinite(ClipNorm), $"clipNorm {ClipNorm} must be at least 0 (0 = no clipping)");
        Require(EmaDecay is >= 0 and < 1, $"emaDecay {EmaDecay} must be at least 0 and less than 1 (0 = no average)");
        Require(MicroBatch >= 0, $"microBatch {MicroBatch} must be at least 0 (0 = the whole batch)");
        Require(MicroBatchBySide?.Values.All(images => images >= 1) != false, "microBatchBySide must be at least 1 for every patch side");
        Require(double.IsFinite(TargetPower), $"targetPower {TargetPower} must be a finite number (0 = all codes of a patch count the same)");
        Require(CoarseShare is >= 0 and < 1, $"coarseShare {CoarseShare} must be at least 0 and less than 1 (0 = no coarse patches after their "
            + $"stage)");
        Require(PlateauShare is >= 0 and < 1, $"plateauShare {PlateauShare} must be at least 0 and less than 1 (0 = stages end where they are said "
            + $"to)");
        Require(PlateauShare == 0 || LearningRateCourse == LearningRateCourse.Wsd,
            "plateauShare needs learningRateCourse wsd: a stage that ends early would lose the fall of its own learning rate");
        if (Stages is { } stages)
        {
            problems.AddRange(PatchSchedule.ProblemsOf(stages));
            Require(PatchSides is null, "stages and patchSides both give the patches; keep one");
            var sum = stages.Sum(s => s.Steps);
            Require(stages.Any(s => s.Steps is null) || Steps == sum, $"steps {Steps} must be the sum of the stages' steps, {sum}");
        }

        if (Stages is null && PatchSides is null && PatchLevel is < 1 or > 16)
        {
            problems.Add($"patchLevel {PatchLevel} must be between 1 (plain next-token prediction) and 16");
        }
        else
        {
            foreach (var side in Sides.Where(s => Stages is null || s > 0))
            {
                try
                {
                    _ = new PatchGeometry(model.GridSide, side);
                }
                catch (ConfigException e)
                {
                    problems.AddRange(e.Problems);
                }
            }

            var last = Sides.Count == 0 ? 0 : Sides[^1];
            Require(last == 1, $"the last patch side is {last}; it must be 1, because generation predicts single codes");
            var hasRate = Stages is null && Sides.Count > 1;
            Require(!hasRate || StageRate is > 0 and < 1, $"stageRate {StageRate} must be greater than 0 and less than 1");
        }

        Require(problems.Count > 0 || Sides.Skip(1).All(side => CoarseImages(side) < ImagesPerStep(side)),
            $"coarseShare {CoarseShare} of batchSize {BatchSize} rounds to the whole batch, so no single codes would be trained; take a smaller "
            + "share or a larger batch");

        return problems.Count == 0 ? this : throw new ConfigException(problems);
    }
}
