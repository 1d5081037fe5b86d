using System.Diagnostics.CodeAnalysis;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;

namespace NextPatch.Training.Gpt;

/// <summary>The stages of a run, and what follows from them: images and FLOPs of any step, patches of its images.</summary>
internal sealed class RunStages
{
    private readonly GptConfig _model;
    private readonly TrainingConfig _training;
    private readonly double? _captionTokens;
    private GptStepPart[][] _parts;

    public RunStages(GptConfig model, TrainingConfig training, PatchSchedule schedule, double? captionTokens = null)
    {
        (_model, _training, _captionTokens) = (model, training, captionTokens);
        Set(schedule);
    }

    /// <summary>As it is so far: a plateau of the loss ends stages early.</summary>
    public PatchSchedule Schedule { get; private set; }

    /// <summary>Planned cost of the whole run.</summary>
    public TrainingCost Cost { get; private set; }

    /// <summary>Takes another schedule of as many stages.</summary>
    [MemberNotNull(nameof(Schedule), nameof(Cost), nameof(_parts))]
    public void Set(PatchSchedule schedule)
    {
        (Schedule, Cost) = (schedule, new TrainingCost(_model, schedule, _training, _captionTokens));
        _parts = [.. schedule.Stages.Select(stage =>
        {
            var (images, coarse) = (ImagesPerStep(stage), stage.Index == 0 ? 0 : _training.CoarseImages(stage.PatchSide));
            return coarse == 0
                ? (GptStepPart[])[new GptStepPart(stage.PatchSide, images)]
                : [new GptStepPart(schedule.Stages[stage.Index - 1].PatchSide, coarse), new GptStepPart(stage.PatchSide, images - coarse)];
        })];
    }

    /// <summary>Which images of a step of the stage are trained with which patches.</summary>
    public IReadOnlyList<GptStepPart> PartsOf(PatchStage stage) => _parts[stage.Index];

    public int ImagesPerStep(PatchStage stage) => _training.ImagesPerStep(stage.PatchSide);

    /// <summary>Images of the first steps: the place of the next one in the training stream.</summary>
    public long ImagesBefore(long step) => _training.ImagesBefore(Schedule, step);

    /// <summary>The same by stage.</summary>
    public IReadOnlyList<long> StageImages(long step)
        => [.. Schedule.Stages.Select(s => Math.Clamp(step - s.Start, 0, s.StepCount) * ImagesPerStep(s))];

    /// <summary>FLOPs of the first steps.</summary>
    public double FlopsBefore(long step) => Cost.Stages.Zip(StageImages(step), (stage, images) => stage.FlopsPerImage * images).Sum();
}
