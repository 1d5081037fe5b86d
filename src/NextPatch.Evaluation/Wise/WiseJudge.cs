using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using NextPatch.Core;

namespace NextPatch.Evaluation.Wise;

/// <summary>A vision model behind an OpenAI-compatible endpoint (<c>chat/completions</c>) that looks at images. Safe from several threads.</summary>
internal sealed class WiseJudge : IDisposable
{
    private const int MostTokens = 2000;
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(60);

    // Wording of our own: published figures were judged by the published one, which --judge-prompt can give.
    private const string Shared =
        """
        You judge one image that a text-to-image model drew. Be strict: where you are in doubt, take the lower score.

        The model was told: "{prompt}"
        A right image shows this: "{explanation}"


        """;

    private const string Legacy = Shared +
        """
        Give three whole numbers from 0 to 2.
        Consistency: 0 = key parts of what it was told are missing or contradicted; 1 = some are there, not all or not exactly; 2 = all is there.
        Realism: 0 = plainly artificial or physically impossible; 1 = believable with flaws; 2 = could be a photograph.
        Aesthetic Quality: 0 = poor; 1 = acceptable; 2 = outstanding.

        Answer with these three lines and nothing else:
        Consistency: <number>
        Realism: <number>
        Aesthetic Quality: <number>
        """;

    private const string Verified = Shared +
        """
        Give 1 if the image shows what it is to show, completely and without contradiction, else 0.

        Answer with this line and nothing else:
        Score: <0 or 1>
        """;

    private readonly HttpClient _client;
    private readonly string _instructions;

    /// <param name="url">The endpoint, with /v1: http://127.0.0.1:8000/v1.</param>
    /// <param name="model">Its name there.</param>
    /// <param name="isVerified">Which benchmark.</param>
    /// <param name="key">Sent as a bearer; null: none.</param>
    /// <param name="instructions">What the judge is told, with {prompt} and {explanation}; null: our own wording.</param>
    /// <exception cref="ConfigException">No address, or instructions without the prompt.</exception>
    public WiseJudge(string url, string model, bool isVerified, string? key = null, string? instructions = null)
    {
        if (!Uri.TryCreate(url.TrimEnd('/') + "/chat/completions", UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https"))
        {
            throw new ConfigException($"Judge '{PrintableText.From(url)}' is no address such as http://127.0.0.1:8000/v1.") { Settings = ["Judge"] };
        }

        _instructions = instructions ?? (isVerified ? Verified : Legacy);
        if (!_instructions.Contains("{prompt}", StringComparison.Ordinal))
        {
            throw new ConfigException("JudgePrompt must say where the prompt goes, by {prompt}; and by {explanation} where the explanation does.")
            {
                Settings = ["JudgePrompt"],
            };
        }

        (Address, Model, IsVerified) = (address, model, isVerified);
        InstructionsHash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(_instructions)))[..16];
        _client = new HttpClient { Timeout = TimeSpan.FromMinutes(5) };
        _client.DefaultRequestHeaders.Authorization = key is null ? null : new AuthenticationHeaderValue("Bearer", key);
    }

    public Uri Address { get; }

    public string Model { get; }

    public bool IsVerified { get; }

    /// <summary>Tells wordings apart.</summary>
    public string InstructionsHash { get; }

    /// <summary>Pause before the second try; doubled before each further one.</summary>
    internal TimeSpan FirstPause { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Tries in all.</summary>
    internal int Tries { get; init; } = 5;

    /// <summary>Asks about one image.</summary>
    /// <returns>The verdict and what the judge wrote; no verdict where it never wrote a usable one.</returns>
    /// <exception cref="NextPatchException">The judge refuses (a wrong key, an unknown model), or cannot be reached.</exception>
    public async Task<(WiseVerdict? Verdict, string Reply)> AskAsync(WisePrompt prompt, byte[] png, CancellationToken cancellation)
    {
        var body = Body(prompt, png);
        var (reply, pause) = ("", FirstPause);
        for (var tried = 1; ; tried++)
        {
            try
            {
                using var content = new StringContent(body, Encoding.UTF8, "application/json");
                using var response = await _client.PostAsync(Address, content, cancellation).ConfigureAwait(false);
                var text = await response.Content.ReadAsStringAsync(cancellation).ConfigureAwait(false);
                if (response.IsSuccessStatusCode)
                {
                    reply = ReplyOf(text) ?? "";
                    if (WiseScores.Parse(reply, IsVerified) is { } verdict)
                    {
                        return (verdict, reply);
                    }
                }
                else if (!MayPass(response.StatusCode) || tried == Tries)
                {
                    throw new NextPatchException(
                        $"The judge at {Address} answers {(int)response.StatusCode}: {PrintableText.From(text.Length > 300 ? text[..300] : text)}");
                }
                else if (response.Headers.RetryAfter?.Delta is { } asked)
                {
                    pause = asked < LongestPause ? asked : LongestPause;
                }
            }
            catch (Exception e) when (e is HttpRequestException || (e is TaskCanceledException && !cancellation.IsCancellationRequested))
            {
                if (tried == Tries)
                {
                    throw new NextPatchException($"The judge at {Address} cannot be reached: {e.Message}", e);
                }
            }

            if (tried == Tries)
            {
                return (null, reply);
            }

            await Task.Delay(pause, cancellation).ConfigureAwait(false);
            pause = 2 * pause < LongestPause ? 2 * pause : LongestPause;
        }
    }

    public void Dispose() => _client.Dispose();

    private static bool MayPass(HttpStatusCode status)
        => status is HttpStatusCode.TooManyRequests or HttpStatusCode.RequestTimeout || (int)status >= 500;

    private string Body(WisePrompt prompt, byte[] png) => new JsonObject
    {
        ["model"] = Model,
        ["temperature"] = 0,
        ["max_tokens"] = MostTokens,
        ["messages"] = new JsonArray(new JsonObject
        {
            ["role"] = "user",
            ["content"] = new JsonArray(
                new JsonObject
                {
                    ["type"] = "text",
                    ["text"] = _instructions.Replace("{explanation}", prompt.Explanation,
                        StringComparison.Ordinal).Replace("{prompt}", prompt.Prompt, StringComparison.Ordinal),
                },
                new JsonObject
                {
                    ["type"] = "image_url", ["image_url"] = new JsonObject { ["url"] = "data:image/png;base64," + Convert.ToBase64String(png) },
                }),
        }),
    }.ToJsonString();

    private static string? ReplyOf(string body)
    {
        try
        {
            return (string?)JsonNode.Parse(body)?["choices"]?[0]?["message"]?["content"];
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or ArgumentOutOfRangeException or FormatException)
        {
            return null;
        }
    }
}
