using NextPatch.Core;
using NextPatch.Core.Tensors;
using NextPatch.Text.Encoders;
using NextPatch.Torch.Text;

namespace NextPatch.Torch.Tests.Text;

[NoTensorLeaks]
public sealed class TorchT5EncoderTests
{
    /// <summary>One token, a caption, none, and a text whose distances reach beyond the last bucket.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Both_engines_give_the_same_features(bool isGated)
    {
        var tensors = FormulaText.Tensors();
        if (!isGated) // v1.0
        {
            foreach (var layer in (int[])[0, 1])
            {
                tensors[T5Config.Ffn(layer, "wi")] = tensors[T5Config.Ffn(layer, "wi_0")];
                tensors.Remove(T5Config.Ffn(layer, "wi_0"));
                tensors.Remove(T5Config.Ffn(layer, "wi_1"));
            }
        }

        using var managed = new T5Encoder(tensors, "formula");
        using var torch = new TorchT5Encoder(tensors, "formula");
        int[][] texts = [[1], [5, 9, 12, 7, 1], [], [.. Enumerable.Range(3, 300), 1]];

        var (expected, actual) = (managed.Encode(texts), torch.Encode(texts));

        Assert.Equal(isGated, torch.Config.IsGated);
        Assert.Equal(expected.Length, actual.Length);
        Assert.All(expected.Zip(actual), p => Assert.Equal(p.First, p.Second, 2e-5f));
    }

    [Fact]
    public void Weights_and_ids_that_do_not_fit_are_named()
    {
        var tensors = FormulaText.Tensors();
        using var torch = new TorchT5Encoder(tensors, "formula");
        Assert.Contains("beyond", Assert.Throws<NextPatchException>(() => torch.Encode([[1 << 24]])).Message, StringComparison.Ordinal);
        tensors[T5Config.Ffn(1, "wo")] = StoredTensor.Generate([128, 255], (_, values) => values.Clear());
        Assert.Contains(
            "[128, 255]", Assert.Throws<DataFormatException>(() => new TorchT5Encoder(tensors, "file")).Message, StringComparison.Ordinal);
    }
}
