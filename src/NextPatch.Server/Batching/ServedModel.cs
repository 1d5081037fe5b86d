using NextPatch.Core;
using NextPatch.Core.Generation;
using NextPatch.Models;
using NextPatch.Sampling;

namespace NextPatch.Server.Batching;

/// <summary>A model under the name that clients know it by, with the thread that draws for it. Owns the model.</summary>
internal sealed class ServedModel : IDisposable
{
    public ServedModel(string name, SampleModel model, ModelWorker worker)
    {
        (Name, Model, Worker) = (name, model, worker);
        Classes = model.TakesPrompts ? []
            : [.. Enumerable.Range(0, model.Config.Model.ClassCount).Select(label => SampleSheet.NameOf(label, model.Config.ClassNames))];
    }

    public string Name { get; }

    public SampleModel Model { get; }

    public ModelWorker Worker { get; }

    /// <summary>Short names by class; empty where prompts say what is drawn.</summary>
    public IReadOnlyList<string> Classes { get; }

    /// <summary>Pixels per side.</summary>
    public int Side => Model.Tokenizer!.Config.ImageSide;

    /// <summary>Held while a prompt is encoded.</summary>
    public SemaphoreSlim Encoding { get; } = new(1);

    /// <summary>Seconds since 1970 at which it was opened.</summary>
    public long Created { get; } = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

    /// <exception cref="ConfigException">No class or more than one is meant.</exception>
    public int[] Labels(string prompt, int count) => ClassChoice.Labels([prompt], count, Model.Config);

    /// <summary>A request with the features of its prompt, if the model takes prompts, and checked. One prompt is encoded at a time.</summary>
    /// <exception cref="ConfigException">The model cannot draw it.</exception>
    public async Task<GenerationRequest> WithPromptsAsync(GenerationRequest request, string prompt, CancellationToken cancellation)
    {
        if (Model.TakesPrompts)
        {
            await Encoding.WaitAsync(cancellation).ConfigureAwait(false);
            try
            {
                // What is lost of a prompt is the client's affair, and no server's log is to hold it.
                var features = Model.Encode([prompt], onNote: null, cancellation)[0];
                request = request with { Prompts = [.. Enumerable.Repeat(features, request.Labels.Count)] };
            }
            finally
            {
                Encoding.Release();
            }
        }

        request.Validate(Model.Config.Model);
        return request;
    }

    public void Dispose()
    {
        Encoding.Dispose();
        Worker.Dispose();
        Model.Dispose();
    }
}
