using System.Text.Json;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Configuration;
using NextPatch.Core.Sampling;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Convolutions;
using NextPatch.Torch.Loading;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Tokenizer;

// Shape letters used in this file: N images asked for, B images in this call, S pixels per side, H and W' rows and columns of
// pixels, h and w of the grid, W code width, T codes per image (h * w).

/// <summary>
/// A VQ tokenizer: encoder, codebook, decoder (van den Oord et al., "Neural Discrete Representation Learning"). Of architecture
/// <see cref="TokenizerArchitecture.Vqgan"/> its state keys and shapes are the published ones.
/// </summary>
/// <remarks>
/// <see cref="Encode"/> and <see cref="Decode"/> work in batches of one fixed size, the last one padded: libtorch picks other
/// kernels for other row counts, and image k must not depend on how many were asked for.
/// </remarks>
public sealed class VqTokenizer : Module<Tensor, TokenizerOutput>
{
    private const string ConfigFile = "config.json";
    private const string WeightsName = "model.safetensors";
    private const string RecentCodesKey = "quantize.codebook_used";
    private const int PixelsPerBatch = 64 * 32 * 32;

    [ComponentName(Name = "encoder")] private readonly Module<Tensor, Tensor> _encoder;
    [ComponentName(Name = "decoder")] private readonly Module<Tensor, Tensor> _decoder;
    [ComponentName(Name = "quantize")] private readonly VectorQuantizer _quantizer;
    [ComponentName(Name = "quant_conv")] private readonly Conv2d? _beforeCodes;
    [ComponentName(Name = "post_quant_conv")] private readonly Conv2d? _afterCodes;

    /// <param name="config">Sizes; validated here.</param>
    /// <param name="seed">Seed of the initial weights.</param>
    /// <exception cref="ConfigException">The configuration cannot work.</exception>
    public VqTokenizer(TokenizerConfig config, ulong seed)
        : base(NativeBackend.LoadedFor(nameof(VqTokenizer)))
    {
        config.Validate();
        Config = config;

        // Small networks fill the processor only with many images; VQGAN's do with few, whose activations stay nearer.
        EncodingBatch = config.Architecture == TokenizerArchitecture.Small
            ? 64
            : Math.Clamp(PixelsPerBatch / (config.ImageSide * config.ImageSide), 1, 64);
        manual_seed((long)(new CounterRandom(seed, RandomStream.Initialization).Bits(0, 0) >> 1));
        using var scope = NewDisposeScope(); // TorchSharp's convolutions leave a tensor behind each when they are made
        var isVqgan = config.Architecture == TokenizerArchitecture.Vqgan;
        _encoder = isVqgan ? new VqganEncoder(config) : new SmallEncoder(config);
        _quantizer = new VectorQuantizer(config);
        _decoder = isVqgan ? new VqganDecoder(config) : new SmallDecoder(config);
        _beforeCodes = isVqgan ? Conv2d(config.LatentChannels, config.CodeWidth, 1) : null;
        _afterCodes = isVqgan ? Conv2d(config.CodeWidth, config.LatentChannels, 1) : null;
        RegisterComponents();
        foreach (var tensor in parameters().Concat(buffers()))
        {
            tensor.DetachFromDisposeScope();
        }
    }

    /// <summary>The tokenizer's shape.</summary>
    public TokenizerConfig Config { get; }

    /// <summary>
    /// Type that encoder and decoder compute in, whatever that of the weights; null = that of the images. Quantisation and its losses keep theirs.
    /// </summary>
    public ScalarType? ComputeType { get; set; }

    /// <summary>Share of the codebook among the latest 65,536 codes of training, counted as published; 0 for small tokenizers.</summary>
    public double RecentCodebookUsage => _quantizer.RecentUsage;

    /// <summary>Weight of the last layer that makes the images: where the adaptive weight of the adversarial loss is measured.</summary>
    public Parameter LastLayer => _decoder is VqganDecoder vqgan ? vqgan.LastLayer : ((SmallDecoder)_decoder).LastLayer;

    /// <summary>Images per call of the decoder: small images in large batches, large ones one by one.</summary>
    internal int DecodingBatch => Config.Architecture == TokenizerArchitecture.Vqgan ? 1 : 64;

    /// <summary>Where it computes.</summary>
    internal Device Device => _quantizer.Device;

    /// <summary>Images per call of the encoder. Codes of another number may round otherwise.</summary>
    internal int EncodingBatch { get; set; }

    /// <summary>Reads what <see cref="SaveTo"/> wrote, or a file in the published layout (<c>vq_ds16_c2i.pt</c>).</summary>
    /// <param name="path">A folder with config.json, or a weights file of a published tokenizer; of a training checkpoint the EMA is taken.</param>
    /// <param name="gridSide">Codes per side that are wanted: a VQGAN takes images of any size. Null: as configured, for a file 256 pixels.</param>
    /// <exception cref="NextPatchException">A file is missing or damaged, or the weights do not fit the configuration.</exception>
    public static VqTokenizer Load(string path, int? gridSide = null)
    {
        using var weights = WeightsFile.Open(path);
        return Create(TokenizerInference.Read(path, weights, gridSide), weights);
    }

    /// <summary>A tokenizer of these sizes with these weights.</summary>
    /// <exception cref="NextPatchException">The weights do not fit the sizes.</exception>
    internal static VqTokenizer Create(TokenizerConfig config, WeightsFile weights)
    {
        var tokenizer = new VqTokenizer(config, seed: 0);
        try
        {
            var state = weights.Tensors.ToDictionary();
            if (config.Architecture == TokenizerArchitecture.Vqgan)
            {
                // A record of training that exporters leave out.
                state.TryAdd(RecentCodesKey, StoredTensor.From(StateLoader.ToHost(tokenizer.get_buffer(RecentCodesKey)!)));
            }

            StateLoader.Load(tokenizer, state, weights.Path);
            return tokenizer;
        }
        catch
        {
            tokenizer.Dispose();
            throw;
        }
    }

    /// <summary>Writes config.json and model.safetensors; the folder is made if need be.</summary>
    public void SaveTo(string folder)
    {
        Directory.CreateDirectory(folder);
        SafetensorsFile.Write(Path.Combine(folder, WeightsName), StateLoader.Capture(this));
        File.WriteAllText(Path.Combine(folder, ConfigFile), JsonSerializer.Serialize(Config, ConfigJson.Default.TokenizerConfig));
    }

    /// <summary>Training pass: encode, quantise with a straight-through gradient, decode.</summary>
    /// <param name="images">float [B, 3, S, S] in [-1, 1].</param>
    public override TokenizerOutput forward(Tensor images) => Reconstruct(images, perturbation: null, step: 0);

    /// <summary>
    /// As <see cref="forward"/>, but the decoder sees perturbed codes; codes, latents and losses of quantisation know nothing of it.
    /// </summary>
    /// <param name="images">float [B, 3, S, S] in [-1, 1].</param>
    /// <param name="perturbation">Null: none.</param>
    /// <param name="step">Counted from 0; with the place in the batch it decides what is perturbed.</param>
    public TokenizerOutput Reconstruct(Tensor images, LatentPerturbation? perturbation, long step)
    {
        using var scope = NewDisposeScope();
        var latents = Latents(images);
        var quantized = _quantizer.Quantize(latents, perturbation, step);
        var output = Render(quantized.Vectors);
        return new TokenizerOutput(
            output.MoveToOuterDisposeScope(),
            latents.MoveToOuterDisposeScope(),
            quantized.Codes.MoveToOuterDisposeScope(),
            quantized.CodebookLoss.MoveToOuterDisposeScope(),
            (Config.CommitmentWeight * quantized.CommitmentLoss).MoveToOuterDisposeScope(),
            (Config.EntropyWeight * quantized.EntropyLoss).MoveToOuterDisposeScope());
    }

    /// <summary>What is compared with the codebook.</summary>
    /// <param name="images">float [B, 3, H, W'] in [-1, 1].</param>
    /// <returns>float [B, W, h, w], not normalised.</returns>
    public Tensor Latents(Tensor images)
    {
        using var scope = NewDisposeScope();
        var x = _encoder.forward(images.to(ComputeType ?? images.dtype));
        return (_beforeCodes?.Apply(x) ?? x).to(images.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>Codes of latents.</summary>
    /// <param name="latents">float [B, W, h, w].</param>
    /// <returns>int64 [B, T].</returns>
    public Tensor Quantize(Tensor latents) => _quantizer.Encode(latents);

    /// <summary>Vectors of codes.</summary>
    /// <param name="codes">int64 [B, T], row-major over the grid.</param>
    /// <param name="rows">h.</param>
    /// <param name="columns">w.</param>
    /// <returns>float [B, W, h, w].</returns>
    public Tensor Lookup(Tensor codes, long rows, long columns) => _quantizer.Lookup(codes, rows, columns);

    /// <summary>Vectors to images.</summary>
    /// <param name="vectors">float [B, W, h, w].</param>
    /// <returns>float [B, 3, H, W'], not clamped.</returns>
    public Tensor Render(Tensor vectors)
    {
        using var scope = NewDisposeScope();
        var x = vectors.to(ComputeType ?? vectors.dtype);
        return _decoder.forward(_afterCodes?.Apply(x) ?? x).to(vectors.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>Training pass without quantisation: the decoder sees the latents. For the first steps of a training.</summary>
    /// <param name="images">float [B, 3, S, S] in [-1, 1].</param>
    /// <returns>Reconstructions, float [B, 3, S, S], not clamped.</returns>
    public Tensor ReconstructContinuously(Tensor images)
    {
        using var scope = NewDisposeScope();
        return Render(_quantizer.Compared(Latents(images))).MoveToOuterDisposeScope();
    }

    /// <summary>Latents as codes are compared with them, one row per grid cell.</summary>
    /// <param name="images">float [B, 3, S, S] in [-1, 1].</param>
    /// <returns>float [B * T, W], without gradient.</returns>
    public Tensor UnitLatents(Tensor images)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var compared = _quantizer.Compared(Latents(images));                                             // [B, W, h, w]
        return compared.permute(0, 2, 3, 1).reshape(-1, Config.CodeWidth).MoveToOuterDisposeScope();     // [B * T, W]
    }

    /// <summary>Overwrites code vectors; call it after an optimiser step, never between forward and backward.</summary>
    /// <param name="codes">Which codes, n of them.</param>
    /// <param name="vectors">float [n, W]; normalised here.</param>
    public void ReplaceCodes(ReadOnlySpan<long> codes, Tensor vectors)
    {
        using var which = tensor(codes.ToArray(), device: Device);
        _quantizer.Replace(which, vectors);
    }

    /// <summary>Images to codes.</summary>
    /// <param name="images">float [N, 3, S, S] in [-1, 1].</param>
    /// <returns>int64 [N, T], row-major over the grid.</returns>
    public Tensor Encode(Tensor images)
    {
        Require(images, "images", [-1, 3, Config.ImageSide, Config.ImageSide]);
        return InFixedBatches(images, EncodingBatch, (batch, _) => _quantizer.Encode(Latents(InEncodingOrder(batch))));
    }

    /// <summary>Images to perturbed codes, as the perturbed Fréchet distance (pFID) decodes them.</summary>
    /// <param name="images">float [N, 3, S, S] in [-1, 1].</param>
    /// <param name="perturbation">Its step is 0.</param>
    /// <param name="firstImage">Index of the first image; with its seed it decides what is perturbed.</param>
    /// <returns>int64 [N, T], row-major over the grid.</returns>
    public Tensor EncodePerturbed(Tensor images, LatentPerturbation perturbation, long firstImage)
    {
        Require(images, "images", [-1, 3, Config.ImageSide, Config.ImageSide]);
        return InFixedBatches(
            images, EncodingBatch, (batch, first) => _quantizer.EncodePerturbed(Latents(InEncodingOrder(batch)), perturbation, firstImage + first));
    }

    /// <summary>Codes to images.</summary>
    /// <param name="codes">int64 [N, T], each in [0, K).</param>
    /// <returns>float [N, 3, S, S], nominally in [-1, 1] but not clamped.</returns>
    public Tensor Decode(Tensor codes)
    {
        Require(codes, "codes", [-1, Config.CodesPerImage]);
        return InFixedBatches(codes, DecodingBatch, (batch, _) => Render(_quantizer.Lookup(batch, Config.GridSide, Config.GridSide)));
    }

    /// <summary>
    /// The same images in the order in memory that suits the encoder, which every layer then keeps: channels last is faster from about 64 channels
    /// on, and slower below.
    /// </summary>
    private Tensor InEncodingOrder(Tensor images)
        => Config.Architecture == TokenizerArchitecture.Vqgan ? images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2) : images;

    /// <param name="items">N of them.</param>
    /// <param name="size">Items per batch, B.</param>
    /// <param name="compute">Given a batch and the index of its first item.</param>
    private static Tensor InFixedBatches(Tensor items, int size, Func<Tensor, long, Tensor> compute)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var results = new List<Tensor>();
        for (var first = 0L; first < items.size(0); first += size)
        {
            var count = Math.Min(size, items.size(0) - first);
            var batch = items.narrow(0, first, count);
            if (count < size)
            {
                // Row 0 again: any valid item will do, its result is dropped.
                batch = cat([batch, batch.narrow(0, 0, 1).repeat_interleave(size - count, 0)]);
            }

            results.Add(compute(batch, first).narrow(0, 0, count));
        }

        return cat(results).MoveToOuterDisposeScope();
    }

    private static void Require(Tensor value, string name, long[] shape)
    {
        var actual = value.shape;
        if (actual.Length != shape.Length || actual[0] == 0 || actual.Skip(1).Zip(shape.Skip(1)).Any(p => p.First != p.Second))
        {
            throw new NextPatchException(
                $"The tokenizer expects {name} of shape [N{string.Concat(shape.Skip(1).Select(s => $", {s}"))}] with N at least 1 but got "
                    + $"[{string.Join(", ", actual)}].");
        }
    }
}
