using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Rendering;
using NextPatch.Core;

namespace NextPatch.Cli.Tests;

public sealed class ErrorBoundaryTests
{
    public static TheoryData<Exception, int> Kinds => new()
    {
        { new ConfigException("the reason"), ExitCode.Usage },
        { new NextPatchException("the reason"), ExitCode.Failure },
        { new DataFormatException("the reason"), ExitCode.Failure },
        { new IOException("the reason"), ExitCode.Failure },
        { new UnauthorizedAccessException("the reason"), ExitCode.Failure },
        { new TypeInitializationException("torch", new NextPatchException("the reason")), ExitCode.Failure },
    };

    [Theory]
    [MemberData(nameof(Kinds), DisableDiscoveryEnumeration = true)]
    public async Task An_expected_error_is_one_sentence_without_a_stack_trace(Exception exception, int exitCode)
    {
        var (code, message) = await ExplainAsync(exception);

        Assert.Equal(exitCode, code);
        Assert.Contains("the reason", message, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", message, StringComparison.Ordinal);
        Assert.DoesNotContain("defect", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_was_cancelled_says_nothing()
        => Assert.Equal((ExitCode.Cancelled, ""), await ExplainAsync(new OperationCanceledException()));

    [Fact]
    public async Task Anything_else_is_called_a_defect_and_shows_its_stack_trace()
    {
        var (code, message) = await ExplainAsync(new InvalidOperationException("the reason"));

        Assert.Equal(ExitCode.Failure, code);
        Assert.StartsWith("This is a defect", message, StringComparison.Ordinal);
        Assert.Contains("   at ", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Cancellation_is_silent()
    {
        var (code, message) = await ExplainAsync(new OperationCanceledException());

        Assert.Equal(ExitCode.Cancelled, code);
        Assert.Empty(message);
    }

    [Fact]
    public async Task A_closed_terminal_leaves_the_exit_code()
    {
        using StringWriter output = new();
        var error = new StringWriter();
        var terminal = new Terminal(output, error);
        error.Dispose();

        Assert.Equal(ExitCode.Usage, await ErrorBoundary.RunAsync(terminal, () => throw new ConfigException("the reason")));
    }

    private static async Task<(int Code, string Message)> ExplainAsync(Exception exception)
    {
        using StringWriter output = new(), error = new();
        var code = await ErrorBoundary.RunAsync(new Terminal(output, error), () => throw exception);
        Assert.Empty(output.ToString());
        return (code, error.ToString());
    }
}
