using NextPatch.Core.Imaging;

namespace NextPatch.Server.Batching;

/// <summary>What a client gets of an image: a partial picture, or the image.</summary>
/// <param name="Place">Of the image in the request.</param>
/// <param name="Rows">Rows of codes that are drawn.</param>
/// <param name="IsFinished">Whether it is the image.</param>
/// <param name="Picture">The pixels.</param>
internal sealed record DrawnImage(int Place, int Rows, bool IsFinished, RgbImage Picture);
