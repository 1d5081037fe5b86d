using Microsoft.Extensions.Logging;

namespace NextPatch.Server.Api;

/// <summary>
/// What the server logs. Prompts only where they are asked for; messages of clients' mistakes repeat prompts, so their codes stand there.
/// </summary>
internal static partial class ServerLog
{
    [LoggerMessage(1, LogLevel.Information, "{RequestId} {Method} {Path} {Status} {Milliseconds:0} ms")]
    public static partial void Answered(this ILogger logger, string requestId, string method, string path, int status, double milliseconds);

    [LoggerMessage(2, LogLevel.Information, "{RequestId} drew {Images} of {Model}: {Queued:0.000} s queued, {Worked:0.000} s at work")]
    public static partial void Drew(this ILogger logger, string requestId, int images, string model, double queued, double worked);

    [LoggerMessage(3, LogLevel.Information, "{RequestId} asked for {Prompt}")]
    public static partial void Asked(this ILogger logger, string requestId, string prompt);

    [LoggerMessage(4, LogLevel.Information, "{RequestId} refused: {Status} {Code} {Parameter}")]
    public static partial void Refused(this ILogger logger, string requestId, int status, string? code, string? parameter);

    [LoggerMessage(5, LogLevel.Information, "{RequestId} was left by its client")]
    public static partial void Left(this ILogger logger, string requestId);

    [LoggerMessage(6, LogLevel.Error, "{RequestId} failed")]
    public static partial void Failed(this ILogger logger, string requestId, Exception exception);

    [LoggerMessage(7, LogLevel.Error, "The model {Model} failed")]
    public static partial void ModelFailed(this ILogger logger, string model, Exception exception);
}
