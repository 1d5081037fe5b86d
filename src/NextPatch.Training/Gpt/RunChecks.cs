using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Data.Codes;
using NextPatch.Torch.Devices;
using NextPatch.Torch.Patches;

namespace NextPatch.Training.Gpt;

/// <summary>What must hold before a run may start, so that nothing fails hours later.</summary>
internal static class RunChecks
{
    /// <exception cref="ConfigException">Codes, captions and model do not fit; every problem is listed.</exception>
    public static void RequireFit(CodeStore store, GptConfig model, TrainingCaptions? captions)
    {
        var problems = new List<string>();
        if (store.Manifest.VocabularySize > model.VocabularySize)
        {
            problems.Add(
                $"The codes use a vocabulary of {store.Manifest.VocabularySize} but the model's has {model.VocabularySize}; set VocabularySize "
                + $"{store.Manifest.VocabularySize} or encode with the tokenizer the model belongs to.");
        }

        if (store.Manifest.GridSide != model.GridSide)
        {
            problems.Add(
                $"The codes form a grid of {store.Manifest.GridSide}x{store.Manifest.GridSide} but the model expects "
                + $"{model.GridSide}x{model.GridSide}.");
        }

        if ((model.Text, captions) is (null, not null) or (not null, null))
        {
            problems.Add(captions is null
                ? "The model takes captions, but none are given; name folders of their features."
                : "Captions are given, but the model takes classes; leave them out, or give the model a Text.");
        }
        else if (model.Text is { } text && (text.FeatureWidth != captions!.Width || text.TokenCount != captions.TokenCount))
        {
            problems.Add(
                $"The features of captions have {captions.Width} numbers for each of at most {captions.TokenCount} tokens, but the model takes "
                + $"{text.FeatureWidth} for each of {text.TokenCount}.");
        }

        if (model.Text is null && store.Manifest.ClassNames.Count > model.ClassCount)
        {
            problems.Add($"The codes have {store.Manifest.ClassNames.Count} classes but the model has {model.ClassCount}.");
        }

        if (store.Manifest.HeldOutCount >= store.Count)
        {
            problems.Add($"All {store.Count} images are held out for validation; nothing is left to train on.");
        }

        if (problems.Count > 0)
        {
            throw new ConfigException(problems) { Settings = ["VocabularySize"] };
        }
    }

    /// <exception cref="ConfigException">The step that the settings name cannot compute them; every problem is listed.</exception>
    public static void RequireStep(TrainingConfig training, string device)
    {
        var isLinear = PatchGroupings.IsLinear(training.Grouping);
        var problems = new List<string>();
        if (training.StepImplementation == StepImplementation.Fused && !isLinear)
        {
            problems.Add($"The fused step cannot train the grouping '{training.Grouping}', which is not a sum of embeddings with fixed factors; "
                + "the reference step can (StepImplementation reference).");
        }

        if (training.Precision is not (ComputePrecision.Fp32 or ComputePrecision.Bf16))
        {
            problems.Add($"Training computes in fp32 or bf16, not in {training.Precision}; use one of these as Precision.");
        }

        if (training.StepImplementation == StepImplementation.Fused && !TorchDevices.IsCpu(device))
        {
            problems.Add($"The fused step is the processor's and does not run on {device}; use StepImplementation reference there.");
        }

        if (problems.Count > 0)
        {
            throw new ConfigException(problems) { Settings = ["StepImplementation", "Device", "Precision"] };
        }
    }
}
