namespace NextPatch.Server.Api;

/// <summary>Bounds the memory of all forms that are being read.</summary>
internal sealed class UploadBudget
{
    /// <summary>Bytes of a body.</summary>
    public const int MostPerRequest = 16 << 20;

    private const long MostAtOnce = 256 << 20;

    private long _taken;

    /// <param name="length">Of the body; null, unknown, counts as the largest.</param>
    /// <returns>Gives it back when it is disposed.</returns>
    /// <exception cref="ApiException">It is too large, or too many others are being read.</exception>
    public IDisposable Take(long? length)
    {
        var bytes = length ?? MostPerRequest;
        if (bytes > MostPerRequest)
        {
            throw new ApiException(413, $"The body has {bytes} bytes; at most {MostPerRequest} are taken.", code: "body_too_large");
        }

        if (Interlocked.Add(ref _taken, bytes) <= MostAtOnce)
        {
            return new Share(this, bytes);
        }

        Interlocked.Add(ref _taken, -bytes);
        throw new ApiException(429, "Too many pictures are being sent; try again later.", code: "uploads_full", type: "rate_limit_error")
        {
            RetryAfter = 1,
        };
    }

    private sealed class Share(UploadBudget budget, long bytes) : IDisposable
    {
        public void Dispose() => Interlocked.Add(ref budget._taken, -bytes);
    }
}
