using NextPatch.Core.Tensors;

namespace NextPatch.Evaluation.Tests.Clip;

/// <summary>A small CLIP with weights by a formula, and the same network written out in float64, number by number.</summary>
internal static class ClipFormula
{
    public const int Vocabulary = 523;
    private const int Side = 32, Patch = 8, Length = 12, Wide = 128, Narrow = 64, Joint = 20, Layers = 2;

    /// <summary>By OpenAI's names.</summary>
    public static Dictionary<string, StoredTensor> Tensors()
    {
        var tensors = new Dictionary<string, StoredTensor>();
        void Add(string name, float scale, float offset, params long[] shape) => tensors[name] = FormulaTensors.Make(name, scale, offset, shape);
        void Norm(string name, int width)
        {
            Add(name + ".weight", 0.3f, 1, width);
            Add(name + ".bias", 0.2f, 0, width);
        }

        void Tower(string prefix, int width)
        {
            for (var i = 0; i < Layers; i++)
            {
                var block = $"{prefix}transformer.resblocks.{i}.";
                Norm(block + "ln_1", width);
                Norm(block + "ln_2", width);
                Add(block + "attn.in_proj_weight", 3 / MathF.Sqrt(width), 0, 3 * width, width);
                Add(block + "attn.in_proj_bias", 0.2f, 0, 3 * width);
                Add(block + "attn.out_proj.weight", 1.5f / MathF.Sqrt(width), 0, width, width);
                Add(block + "attn.out_proj.bias", 0.2f, 0, width);
                Add(block + "mlp.c_fc.weight", 1.5f / MathF.Sqrt(width), 0, 3 * width, width);
                Add(block + "mlp.c_fc.bias", 0.2f, 0, 3 * width);
                Add(block + "mlp.c_proj.weight", 1 / MathF.Sqrt(width), 0, width, 3 * width);
                Add(block + "mlp.c_proj.bias", 0.2f, 0, width);
            }
        }

        Add("visual.conv1.weight", 0.2f, 0, Wide, 3, Patch, Patch);
        Add("visual.class_embedding", 1, 0, Wide);
        Add("visual.positional_embedding", 0.5f, 0, 1 + (Side / Patch * (Side / Patch)), Wide);
        Norm("visual.ln_pre", Wide);
        Tower("visual.", Wide);
        Norm("visual.ln_post", Wide);
        Add("visual.proj", 0.3f, 0, Wide, Joint);
        Add("token_embedding.weight", 1, 0, Vocabulary, Narrow);
        Add("positional_embedding", 0.5f, 0, Length, Narrow);
        Tower("", Narrow);
        Norm("ln_final", Narrow);
        Add("text_projection", 0.3f, 0, Narrow, Joint);
        Add("logit_scale", 1, 4);
        return tensors;
    }

    /// <summary>The same weights by the names of transformers, which keeps queries, keys and values apart and projections turned.</summary>
    public static Dictionary<string, StoredTensor> InTransformersNames(Dictionary<string, StoredTensor> tensors)
    {
        var renamed = new Dictionary<string, StoredTensor>();
        foreach (var (name, tensor) in tensors)
        {
            var isImage = name.StartsWith("visual.", StringComparison.Ordinal);
            var key = (isImage ? name["visual.".Length..] : name).Replace("transformer.resblocks.", "encoder.layers.", StringComparison.Ordinal)
                .Replace("ln_1", "layer_norm1", StringComparison.Ordinal).Replace("ln_2", "layer_norm2", StringComparison.Ordinal)
                .Replace("attn.", "self_attn.", StringComparison.Ordinal).Replace("mlp.c_fc", "mlp.fc1", StringComparison.Ordinal)
                .Replace("mlp.c_proj", "mlp.fc2", StringComparison.Ordinal);
            var prefix = isImage ? "vision_model." : "text_model.";
            if (key.Contains("in_proj", StringComparison.Ordinal))
            {
                var values = Values(tensor);
                foreach (var (i, part) in new[] { "q", "k", "v" }.Index())
                {
                    var shape = tensor.Shape.ToArray();
                    shape[0] /= 3;
                    renamed[prefix + key.Replace("in_proj_", $"{part}_proj.", StringComparison.Ordinal)] =
                        StoredTensor.From(HostTensor.FromSingles(shape, values.AsSpan(i * values.Length / 3, values.Length / 3).ToArray()));
                }
            }
            else if (key is "proj" or "text_projection")
            {
                var (values, width) = (Values(tensor), (int)tensor.Shape[0]);
                renamed[isImage ? "visual_projection.weight" : "text_projection.weight"] = StoredTensor.From(HostTensor.FromSingles(
                    [Joint, width], [.. Enumerable.Range(0, values.Length).Select(i => values[(i % width * Joint) + (i / width)])]));
            }
            else
            {
                renamed[key switch
                {
                    "conv1.weight" => "vision_model.embeddings.patch_embedding.weight",
                    "class_embedding" => "vision_model.embeddings.class_embedding",
                    "positional_embedding" => prefix + "embeddings.position_embedding.weight",
                    "token_embedding.weight" => "text_model.embeddings.token_embedding.weight",
                    "logit_scale" => key,
                    _ => prefix + key.Replace("ln_pre", "pre_layrnorm", StringComparison.Ordinal)
                        .Replace("ln_post", "post_layernorm", StringComparison.Ordinal)
                        .Replace("ln_final", "final_layer_norm", StringComparison.Ordinal),
                }] = tensor;
            }
        }

        return renamed;
    }

    /// <param name="tensors">By OpenAI's names.</param>
    /// <param name="planes">[B, 3, S, S].</param>
    public static double[] Image(Dictionary<string, StoredTensor> tensors, float[] planes)
    {
        var results = new List<double>();
        var grid = Side / Patch;
        for (var image = 0; image < planes.Length / (3 * Side * Side); image++)
        {
            var rows = new double[1 + (grid * grid)][];
            rows[0] = [.. Values(tensors["visual.class_embedding"]).Select(v => (double)v)];
            var kernel = Values(tensors["visual.conv1.weight"]);
            for (var patch = 0; patch < grid * grid; patch++)
            {
                rows[1 + patch] = new double[Wide];
                for (var c = 0; c < Wide; c++)
                {
                    for (var k = 0; k < 3 * Patch * Patch; k++)
                    {
                        var (channel, dy, dx) = (k / (Patch * Patch), k / Patch % Patch, k % Patch);
                        var (y, x) = ((patch / grid * Patch) + dy, (patch % grid * Patch) + dx);
                        rows[1 + patch][c] += kernel[(c * 3 * Patch * Patch) + k]
                            * (double)planes[(((image * 3) + channel) * Side * Side) + (y * Side) + x];
                    }
                }
            }

            AddPositions(rows, Values(tensors["visual.positional_embedding"]));
            Run(tensors, "visual.", [.. rows.Select(row => Norm(tensors, "visual.ln_pre", row))], isCausal: false, out var last);
            results.AddRange(Project(Norm(tensors, "visual.ln_post", last[0]), Values(tensors["visual.proj"])));
        }

        return [.. results];
    }

    /// <param name="tensors">By OpenAI's names.</param>
    /// <param name="ids">[B, L].</param>
    public static double[] Text(Dictionary<string, StoredTensor> tensors, int[] ids)
    {
        var results = new List<double>();
        var table = Values(tensors["token_embedding.weight"]);
        foreach (var text in ids.Chunk(Length))
        {
            double[][] rows = [.. text.Select(id => table[(id * Narrow)..((id + 1) * Narrow)].Select(v => (double)v).ToArray())];
            AddPositions(rows, Values(tensors["positional_embedding"]));
            Run(tensors, "", rows, isCausal: true, out var last);
            results.AddRange(Project(Norm(tensors, "ln_final", last[Array.IndexOf(text, text.Max())]), Values(tensors["text_projection"])));
        }

        return [.. results];
    }

    private static void AddPositions(double[][] rows, float[] positions)
    {
        for (var i = 0; i < rows.Length; i++)
        {
            for (var c = 0; c < rows[i].Length; c++)
            {
                rows[i][c] += positions[(i * rows[i].Length) + c];
            }
        }
    }

    private static void Run(Dictionary<string, StoredTensor> tensors, string prefix, double[][] rows, bool isCausal, out double[][] last)
    {
        for (var layer = 0; layer < Layers; layer++)
        {
            var block = $"{prefix}transformer.resblocks.{layer}.";
            var width = rows[0].Length;
            double[][] qkv = [.. rows.Select(row => Linear(
                Norm(tensors, block + "ln_1", row), Values(tensors[block + "attn.in_proj_weight"]), Values(tensors[block + "attn.in_proj_bias"])))];
            for (var i = 0; i < rows.Length; i++)
            {
                var mixed = new double[width];
                for (var head = 0; head < width / 64; head++)
                {
                    var seen = isCausal ? i + 1 : rows.Length;
                    double Dot(int j) => Enumerable.Range(head * 64, 64).Sum(d => qkv[i][d] * qkv[j][width + d]) / 8;
                    var weights = Enumerable.Range(0, seen).Select(j => Math.Exp(Dot(j))).ToArray();
                    for (var d = head * 64; d < (head + 1) * 64; d++)
                    {
                        mixed[d] = Enumerable.Range(0, seen).Sum(j => weights[j] * qkv[j][(2 * width) + d]) / weights.Sum();
                    }
                }

                rows[i] = Sum(rows[i], Linear(
                    mixed, Values(tensors[block + "attn.out_proj.weight"]), Values(tensors[block + "attn.out_proj.bias"])));
            }

            for (var i = 0; i < rows.Length; i++)
            {
                var hidden = Linear(
                    Norm(tensors, block + "ln_2", rows[i]), Values(tensors[block + "mlp.c_fc.weight"]), Values(tensors[block + "mlp.c_fc.bias"]));
                rows[i] = Sum(rows[i], Linear(
                    [.. hidden.Select(x => x / (1 + Math.Exp(-1.702 * x)))], Values(tensors[block + "mlp.c_proj.weight"]),
                    Values(tensors[block + "mlp.c_proj.bias"])));
            }
        }

        last = rows;
    }

    private static double[] Norm(Dictionary<string, StoredTensor> tensors, string name, double[] row)
    {
        var (weight, bias, mean) = (Values(tensors[name + ".weight"]), Values(tensors[name + ".bias"]), row.Average());
        var factor = 1 / Math.Sqrt(row.Average(x => (x - mean) * (x - mean)) + 1e-5);
        return [.. row.Select((x, c) => ((x - mean) * factor * weight[c]) + bias[c])];
    }

    private static double[] Linear(double[] row, float[] weight, float[] bias)
        => [.. bias.Select((b, output) => b + row.Select((x, c) => x * weight[(output * row.Length) + c]).Sum())];

    private static double[] Project(double[] row, float[] projection)
        => [.. Enumerable.Range(0, Joint).Select(e => row.Select((x, c) => x * projection[(c * Joint) + e]).Sum())];

    private static double[] Sum(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];

    private static float[] Values(StoredTensor tensor) => tensor.Read().ToSingles();
}
