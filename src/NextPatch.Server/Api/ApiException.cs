namespace NextPatch.Server.Api;

/// <summary>An answer that is an error, in the shape of OpenAI's.</summary>
internal sealed class ApiException : Exception
{
    public const string InvalidRequest = "invalid_request_error";

    /// <param name="status">HTTP's.</param>
    /// <param name="message">For people.</param>
    /// <param name="parameter">Field that is wrong; null: none.</param>
    /// <param name="code">For programs.</param>
    /// <param name="type">Kind of error.</param>
    public ApiException(int status, string message, string? parameter = null, string? code = null, string type = InvalidRequest)
        : base(message)
        => (Status, Parameter, Code, Type) = (status, parameter, code, type);

    public int Status { get; }

    public string Type { get; }

    public string? Parameter { get; }

    public string? Code { get; }

    /// <summary>Seconds after which another try makes sense; null: it does not.</summary>
    public int? RetryAfter { get; init; }

    /// <summary>A field with a value that is not taken.</summary>
    public static ApiException Value(string parameter, string message) => new(400, message, parameter, "invalid_value");
}
