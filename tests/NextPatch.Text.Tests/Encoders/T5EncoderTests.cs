using NextPatch.Core;
using NextPatch.Core.Tensors;
using NextPatch.Text.Encoders;

namespace NextPatch.Text.Tests.Encoders;

public sealed class T5EncoderTests
{
    [Fact]
    public void Buckets_are_those_of_T5()
        => Assert.Equal([0, 1, 7, 8, 8, 9, 10, 15, 15, 17, 23, 24, 31],
            ((int[])[0, -1, -7, -8, -11, -12, -16, -128, -1000, 1, 7, 8, 500]).Select(d => T5Attention.Bucket(d, 32)));

    [Fact]
    public void Features_do_not_depend_on_what_they_are_encoded_with()
    {
        var encoder = Formula();
        int[][] texts = [[5, 9, 1], [.. Enumerable.Range(3, 119), 1], [1], [7, 7, 8, 1]];

        var together = encoder.Encode(texts);
        var one = texts.SelectMany(text => encoder.Encode([text])).ToArray();

        Assert.Equal(one, together);
    }

    /// <summary>bfloat16 weights stay so; they must give what the same numbers in float32 give.</summary>
    [Fact]
    public void Weights_in_bfloat16_give_what_their_values_give()
    {
        var tensors = FormulaText.Tensors();
        var halves = tensors.ToDictionary(p => p.Key, p => p.Key == T5Config.Embedding ? p.Value : p.Value.As(ElementType.BFloat16));
        var widened = halves.ToDictionary(p => p.Key, p => p.Value.As(ElementType.Float32));

        Assert.Equal(new T5Encoder(widened, "a").Encode([[4, 5, 6, 1]]), new T5Encoder(halves, "b").Encode([[4, 5, 6, 1]]));
    }

    [Fact]
    public void Formula_features_are_fixed_contextual_and_tell_words_apart()
    {
        var (encoder, tokenizer) = (Formula(), new FormulaTokenizer());
        float[] Of(string text) => encoder.Encode([tokenizer.Encode(text)]);

        var star = Of("a small red star");
        Assert.Equal(star, new T5Encoder(FormulaText.Tensors(), "formula").Encode([tokenizer.Encode("A small RED star")]));
        Assert.Equal(5 * 128, star.Length);
        var red = star[(2 * 128)..(3 * 128)];
        Assert.InRange(Cosine(red, Of("a large red circle").AsSpan(2 * 128, 128)), 0.3, 0.999); // the same word elsewhere
        Assert.InRange(Cosine(red, Of("a small blue star").AsSpan(2 * 128, 128)), -1, 0.9); // another word there
        Assert.InRange(star.Average(x => x * x), 0.5, 2);
    }

    [Fact]
    public void Formula_weights_are_what_they_were()
    {
        var values = new float[3];
        FormulaText.Tensors()[T5Config.Embedding].CopyTo(128 * 4, System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()));

        Assert.Equal([-0.840175331f, -1.5368315f, 1.07594824f], values);
    }

    [Fact]
    public void Weights_that_do_not_fit_are_named()
    {
        var tensors = FormulaText.Tensors();
        tensors[T5Config.Ffn(1, "wo")] = StoredTensor.Generate([128, 255], (_, values) => values.Clear());

        var shape = Assert.Throws<DataFormatException>(() => new T5Encoder(tensors, "file")).Message;
        tensors.Remove(T5Config.Ffn(1, "wo"));
        var missing = Assert.Throws<DataFormatException>(() => new T5Encoder(tensors, "file")).Message;
        var other = Assert.Throws<DataFormatException>(() => new T5Encoder(new Dictionary<string, StoredTensor>(), "file")).Message;

        Assert.Contains("[128, 255]", shape, StringComparison.Ordinal);
        Assert.Contains("lacks 'encoder.block.1.layer.1.DenseReluDense.wo.weight'", missing, StringComparison.Ordinal);
        Assert.Contains("holds no T5 encoder", other, StringComparison.Ordinal);
    }

    [Fact]
    public void Ids_beyond_the_vocabulary_and_numbers_that_are_not_finite_are_refused()
    {
        var tensors = FormulaText.Tensors();
        Assert.Contains("beyond", Assert.Throws<NextPatchException>(() => Formula().Encode([[1 << 24]])).Message, StringComparison.Ordinal);
        tensors[T5Config.FinalNorm] = StoredTensor.Generate([128], (_, values) => values.Fill(float.NaN));

        Assert.Contains("not finite", Assert.Throws<NextPatchException>(() => new T5Encoder(tensors, "file").Encode([[1]])).Message,
            StringComparison.Ordinal);
    }

    private static T5Encoder Formula() => new(FormulaText.Tensors(), "formula");

    private static double Cosine(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        double product = 0, first = 0, second = 0;
        for (var i = 0; i < a.Length; i++)
        {
            (product, first, second) = (product + (a[i] * b[i]), first + (a[i] * a[i]), second + (b[i] * b[i]));
        }

        return product / Math.Sqrt(first * second);
    }
}
