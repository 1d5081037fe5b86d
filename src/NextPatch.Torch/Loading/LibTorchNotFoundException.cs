using NextPatch.Core;

namespace NextPatch.Torch.Loading;

/// <summary>libtorch lies in none of the folders that were searched; the message names them.</summary>
internal sealed class LibTorchNotFoundException(string message) : NextPatchException(message);
