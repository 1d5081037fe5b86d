using NextPatch.Kernels.Elementwise;

namespace NextPatch.Torch.Gpt.Fused;

// The output head, and which rows it sees; shape letters as in FusedGptModel.cs.
internal sealed unsafe partial class FusedGptModel<T, L>
{
    /// <summary>
    /// Output head in chunks of rows: logits, loss, and the gradients of head and hidden states where wanted; leaves the latter in NormedGradient.
    /// </summary>
    private double Head(PassState state, double scale, bool withGradients)
    {
        var (vocabulary, codesPerPatch) = (_model.Config.VocabularySize, state.Geometry.CodesPerPatch);
        var rows = state.Labels.Length * state.Geometry.PatchCount; // [B N]
        var chunk = (int)ChunkRows(vocabulary, rows);
        var losses = new double[rows];
        var (predicting, predictingGradient) = Predicting(state);
        var (targets, targetWeights) = (state.Targets(), _objective.TargetWeightsOf(state.Geometry));
        for (var start = 0; start < rows; start += chunk)
        {
            var count = Math.Min(chunk, rows - start);
            _logits.Resize(count);
            using var hidden = predicting.Tensor.narrow(0, start, count);            // [r, C]
            using var gradient = predictingGradient.Tensor.narrow(0, start, count);  // [r, C]
            _head.Forward(hidden, _logits.Tensor);                                   // [r, V]
            Clock.Lap(StepPart.Head);
            fixed (int* target = &targets[start * codesPerPatch])
            fixed (double* loss = &losses[start])
            {
                CrossEntropyKernel<L>.Run(count, vocabulary, (T*)_logits.Address, target, targetWeights, (float)(scale / rows), loss);
            }

            Clock.Lap(StepPart.Loss);
            if (!withGradients)
            {
                continue;
            }

            _head.InputGradient(_logits.Tensor, gradient);                           // [r, C]
            Clock.Lap(StepPart.Head);
            _head.WeightGradient(_logits.Tensor, hidden, _shared.WeightGradient, state.Add || start > 0, Clock, StepPart.Head);
        }

        if (withGradients && state.Captions is not null)
        {
            Spread(state);
        }

        return losses.Average();
    }

    /// <summary>
    /// The rows that predict patches, and room for their gradients: all rows where nothing but a class token comes before the image.
    /// </summary>
    private (Activation Rows, Activation Gradients) Predicting(PassState state)
    {
        if (state.Captions is null)
        {
            return (_finalNormed, _shared.NormedGradient);
        }

        var (patches, width) = (state.Geometry.PatchCount, _model.Config.Width);
        _predicting.Resize(state.Labels.Length * patches);
        _predictingGradient.Resize(state.Labels.Length * patches);
        for (var image = 0; image < state.Labels.Length; image++)
        {
            var first = ((image + 1) * state.Tokens) - patches;
            new ReadOnlySpan<T>((T*)_finalNormed.Address + ((long)first * width), patches * width)
                .CopyTo(new Span<T>((T*)_predicting.Address + ((long)image * patches * width), patches * width));
        }

        return (_predicting, _predictingGradient);
    }

    /// <summary>Gradients of the rows that predict patches into those of all rows; the others, before a caption's last token, have none.</summary>
    private void Spread(PassState state)
    {
        var (patches, width, before) = (state.Geometry.PatchCount, _model.Config.Width, state.Tokens - state.Geometry.PatchCount);
        for (var image = 0; image < state.Labels.Length; image++)
        {
            var to = (T*)_shared.NormedGradient.Address + ((long)image * state.Tokens * width);
            new Span<T>(to, before * width).Clear();
            new ReadOnlySpan<T>((T*)_predictingGradient.Address + ((long)image * patches * width), patches * width)
                .CopyTo(new Span<T>(to + ((long)before * width), patches * width));
        }
    }
}
