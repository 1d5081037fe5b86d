using NextPatch.Goldens.Cases;
using NextPatch.Torch.Loading;

namespace NextPatch.Goldens;

/// <summary>
/// The kinds of case that the project can compute. A case is recognised by the function that was recorded and by its settings,
/// never by its name, so that another folder may hold any number of each kind.
/// </summary>
internal static class CaseKinds
{
    private static readonly (Func<GoldenCase, bool> Matches, Action<CaseRun> Run)[] Kinds =
    [
        (c => c.IsAbout("precompute_freqs_cis_2d"), RopeTableCase.Run),
        (c => c.IsAbout("apply_rotary_emb"), RopeApplyCase.Run),
        (c => c.IsAbout("::RMSNorm"), RmsNormCase.Run),
        (c => c.IsAbout("::FeedForward"), FeedForwardCase.Run),
        (c => c.IsAbout("GPT_models"), GptPresetsCase.Run),
        (c => c.IsAbout("tensor_patchify"), PatchifyCase.Run),
        (c => c.ModelType == "c2i" && c.IsAbout("Transformer.forward") && c.IsAbout("backward") && c.Config.ContainsKey("patch_sizes"),
            TransformerGradientCase.Run),
        (c => c.ModelType == "c2i" && c.IsAbout("Transformer.forward in eval"), TransformerEvalCase.Run),
        (c => c.ModelType == "t2i" && c.IsAbout("Transformer.forward"), CaptionCases.RunTraining),
        (c => c.IsAbout("::CaptionEmbedder"), CaptionCases.RunEmbedder),
        (c => c.ModelType == "c2i" && c.IsAbout("generate.py::generate") && c.Entry.ContainsKey("runs"), GenerationCase.Run),
        (c => c.ModelType == "t2i" && c.IsAbout("generate.py::generate") && c.Entry.ContainsKey("runs"), PromptGenerationCase.Run),
        (c => c.IsAbout("model.causal_mask"), CausalMaskCase.Run),
        (c => c.IsAbout("top_k_top_p_filtering"), SamplingFilterCase.Run),
        (c => c.IsAbout("generate.py::sample("), GreedySamplingCase.Run),
        (c => c.IsAbout("epoch_range"), EpochTableCase.Run),
        (c => c.IsAbout("create_scheduler") && c.Config.ContainsKey("items"), LearningRateCase.Run),
        (c => c.ModelType == "c2i" && c.IsAbout("update_ema") && c.IsAbout("AdamW"), TrainingRunCase.Run),
        (c => c.Entry.ContainsKey("variants"), PickleCase.Run),
        (c => c.IsAbout("DistributedSampler"), SamplerCase.Run),
        (c => c.IsAbout("::VQLoss.forward"), VqganCases.RunObjective),
        (c => c.IsAbout("vq_train.py loop body"), VqganCases.RunTraining),
        (c => c.IsAbout("vq_loss.py loss functions"), AdversarialCases.RunLosses),
        (c => c.IsAbout("::NLayerDiscriminator"), AdversarialCases.RunPatchDiscriminator),
        (c => c.IsAbout("discriminator_stylegan.py"), AdversarialCases.RunStyleGanDiscriminator),
        (c => c.IsAbout("::LPIPS"), AdversarialCases.RunLpips),
        (c => c.IsAbout("::VQ_models"), TokenizerPresetsCase.Run),
        (c => c.IsAbout("::VQModel ") || c.IsAbout("VQ_models["), TokenizerCase.Run),
        (c => c.IsAbout("Image.resize"), ImageResizeCase.Run),
        (c => c.IsAbout("PIL.Image.open"), ImageDecodeCase.Run),
        (c => c.IsAbout("datasets.ImageFolder"), ImageFolderOrderCase.Run),
        (c => c.IsAbout("extract_codes_c2i.py main()"), CodeFilesCase.Run),
        (c => c.IsAbout("create_npz_from_sample_folder"), SamplePostprocessCase.Run),
        (c => c.IsAbout("utils.save_image"), SamplePostprocessCase.RunGrid),
        (c => c.IsAbout("imagenet.py::CustomDataset"), run => run.Incomplete("rules in prose; LlamaGenCodesTests and BatchSourceTests claim them")),
        (c => c.IsAbout("random_crop_arr"), ImageCropCase.RunRandom),
        (c => c.IsAbout("TenCrop"), TenCropCase.Run),
        (c => c.IsAbout("center_crop_arr") && c.Config.ContainsKey("items"), ImageCropCase.RunCentre),
        (c => c.IsAbout("center_crop_arr") && c.Config.ContainsKey("file"), ImageCropCase.RunRealSizes),
        (c => c.IsAbout("open_npz_array"), EvaluatorCases.RunLayout),
        (c => c.IsAbout("FIDStatistics.frechet_distance"), EvaluatorCases.RunFrechet),
        (c => c.IsAbout("compute_inception_score"), EvaluatorCases.RunInceptionScore),
        (c => c.IsAbout("compute_prec_recall"), EvaluatorCases.RunPrecisionRecall),
        (c => c.IsAbout("Inception network's pipeline"), InceptionSetCase.Run),
        (c => c.IsAbout("Inception network's resize"), InceptionNetworkCase.RunResize),
        (c => c.IsAbout("Inception network's network"), InceptionNetworkCase.RunNetwork),
        (c => c.IsAbout("Inception network's sets"), InceptionNetworkCase.RunSets),
        (c => c.IsAbout("T5Embedder.text_preprocessing"), TextCases.RunCleaning),
        (c => c.IsAbout("spm_encode") && c.IsAbout("T5"), TextCases.RunTokens),
        (c => c.IsAbout("T5EncoderModel"), TextCases.RunEncoder),
    ];

    /// <summary>Runs a case. What it throws is its failure: a runner must get through the whole folder.</summary>
    public static CaseResult Run(GoldenCase golden)
    {
        var run = new CaseRun(golden);
        var kind = Array.Find(Kinds, k => k.Matches(golden)).Run;
        if (kind is null)
        {
            run.Incomplete("not supported yet");
            return run.Result();
        }

        try
        {
            NativeBackend.EnsureLoaded();

            // The recorded tensors are so small that threads would only wait for each other.
            TorchSharp.torch.set_num_threads(1);
            using var scope = TorchSharp.torch.NewDisposeScope();
            kind(run);
        }
#pragma warning disable CA1031 // Whatever stops a case is reported as its failure.
        catch (Exception e)
#pragma warning restore CA1031
        {
            run.Fail($"{e.GetType().Name}: {e.Message}");
        }

        return run.Result();
    }
}
