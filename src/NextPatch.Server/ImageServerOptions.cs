namespace NextPatch.Server;

/// <summary>How images are served.</summary>
internal sealed record ImageServerOptions
{
    /// <summary>Where to listen: <c>http://127.0.0.1:8080</c>; port 0 = a free one.</summary>
    public IReadOnlyList<string> Urls { get; init; } = ["http://127.0.0.1:8080"];

    /// <summary>What clients must send; null: nothing.</summary>
    public string? ApiKey { get; init; }

    /// <summary>Images of a model that may wait.</summary>
    public int QueueLimit { get; init; } = 64;

    /// <summary>Longest time from a request's arrival to its last image; as long the end waits for requests.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>Whether prompts are logged.</summary>
    public bool LogsPrompts { get; init; }
}
