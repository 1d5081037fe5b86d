using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.Pickle;

/// <summary>A name outside the allow-list, tolerated as long as a pickle only makes an empty object of it; see <see cref="UnknownPickleValue"/>.</summary>
/// <param name="Name">Module and name.</param>
internal sealed record PickleUnknownClass(string Name)
{
    /// <summary>The error for every other use.</summary>
    public DataFormatException Refuse(string path) => new(
        $"'{path}' asks for the Python name {StoredFile.Quote(Name)}, which is not on the list of what a checkpoint may contain; nothing was executed. " +
        "If you trust the file, save its weights alone in Python: torch.save(model.state_dict(), path).");
}
