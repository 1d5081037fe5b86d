using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.PyTorch;

/// <summary>An open checkpoint file: one pickle that describes tensors, and their storages.</summary>
internal interface ITorchContainer : IDisposable
{
    /// <summary>What the pickle holds; tensors are <see cref="TorchTensor"/>s.</summary>
    object? Unpickle();

    /// <summary>A tensor that <see cref="Unpickle"/> named, in its place in the file.</summary>
    StoredTensor Locate(TorchTensor tensor);
}
