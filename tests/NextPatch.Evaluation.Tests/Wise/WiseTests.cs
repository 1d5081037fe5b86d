using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using NextPatch.Core;
using NextPatch.Core.Imaging;
using NextPatch.Evaluation.Wise;

namespace NextPatch.Evaluation.Tests.Wise;

public sealed class WiseTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(2, 2, 2, 1.0)]
    [InlineData(0, 0, 0, 0.0)]
    [InlineData(1, 0, 0, 0.35)]
    [InlineData(0, 1, 0, 0.1)]
    [InlineData(0, 0, 1, 0.05)]
    [InlineData(2, 1, 0, 0.8)]
    public void An_image_scores_as_published(int consistency, int realism, int aesthetic, double expected)
        => Assert.Equal(expected, WiseScores.Of(new WiseVerdict(consistency, realism, aesthetic), isVerified: false), 12);

    [Theory]
    [InlineData(1, 400, WiseCategory.Culture, 0.4, 0.40)]
    [InlineData(401, 567, WiseCategory.Time, 0.167, 0.12)]
    [InlineData(568, 700, WiseCategory.Space, 0.133, 0.12)]
    [InlineData(701, 800, WiseCategory.Biology, 0.1, 0.12)]
    [InlineData(801, 900, WiseCategory.Physics, 0.1, 0.12)]
    [InlineData(901, 1000, WiseCategory.Chemistry, 0.1, 0.12)]
    public void Numbers_say_categories_and_categories_weigh_as_published(int first, int last, object category, double weight, double verified)
    {
        Assert.Equal((category, category), (WiseScores.CategoryOf(first), WiseScores.CategoryOf(last)));
        Assert.Equal((weight, verified), (WiseScores.WeightOf((WiseCategory)category, false), WiseScores.WeightOf((WiseCategory)category, true)));
    }

    [Fact]
    public void The_whole_is_the_weighted_sum_of_the_means_and_only_known_when_all_is_judged()
    {
        WisePrompt[] prompts = [.. new[] { 1, 2, 401, 568, 701, 801, 901 }.Select(id => new WisePrompt(id, "", ""))];
        var verdicts = new Dictionary<int, WiseVerdict>
        {
            [1] = new(2, 2, 2), [2] = new(0, 0, 0), [401] = new(1, 0, 0), [568] = new(2, 2, 2), [701] = new(0, 1, 0), [801] = new(0, 0, 1),
            [901] = new(2, 1, 0),
        };
        var summary = WiseScores.Summarize(prompts, verdicts, isVerified: false);
        Assert.Equal(0.5, summary.Categories["Culture"], 12);
        Assert.Equal((0.4 * 0.5) + (0.167 * 0.35) + 0.133 + (0.1 * 0.1) + (0.1 * 0.05) + (0.1 * 0.8), summary.Overall!.Value, 12);

        var binary = verdicts.ToDictionary(p => p.Key, p => new WiseVerdict(p.Key is 1 or 701 ? 1 : 0, null, null));
        Assert.Equal((0.40 * 0.5) + 0.12, WiseScores.Summarize(prompts, binary, isVerified: true).Overall!.Value, 12);

        verdicts.Remove(901);
        var partial = WiseScores.Summarize(prompts, verdicts, isVerified: false);
        Assert.Equal((6, 1, null), (partial.Judged, partial.Missing, partial.Overall));
        Assert.Equal(5, partial.Categories.Count);
        Assert.Null(WiseScores.Summarize(prompts[..2], verdicts, isVerified: false).Overall); // one category is not the whole
    }

    [Theory]
    [InlineData("Consistency: 2\nRealism: 1\nAesthetic Quality: 0", 2, 1, 0)]
    [InlineData("**Consistency**: 0\n**Realism:** 2\n*Aesthetic Quality* - 1", 0, 2, 1)]
    [InlineData("{\"consistency\": 1, \"realism\": 1, \"aesthetic_quality\": 2}", 1, 1, 2)]
    public void Replies_are_understood(string reply, int consistency, int realism, int aesthetic)
        => Assert.Equal(new WiseVerdict(consistency, realism, aesthetic), WiseScores.Parse(reply, isVerified: false));

    [Theory]
    [InlineData("Consistency: 3\nRealism: 1\nAesthetic Quality: 0")]
    [InlineData("Consistency: 20\nRealism: 1\nAesthetic Quality: 0")]
    [InlineData("Consistency: 1.5\nRealism: 1\nAesthetic Quality: 0")]
    [InlineData("Realism: 1\nAesthetic Quality: 0")]
    [InlineData("I cannot judge images.")]
    public void Replies_without_three_scores_say_nothing(string reply) => Assert.Null(WiseScores.Parse(reply, isVerified: false));

    [Fact]
    public void Binary_replies_are_understood()
    {
        Assert.Equal(new WiseVerdict(1, null, null), WiseScores.Parse("Score: 1", isVerified: true));
        Assert.Equal(new WiseVerdict(0, null, null), WiseScores.Parse("{\"score\": 0}", isVerified: true));
        Assert.Null(WiseScores.Parse("Score: 2", isVerified: true));
    }

    [Fact]
    public async Task A_judge_is_asked_once_per_image_and_a_stopped_run_goes_on()
    {
        var prompts = Prompts(1, 2, 401, 568, 701, 801, 901);
        Images(prompts.Take(6));
        var results = _folder["wise.jsonl"];
        using var server = new FakeJudge(
            text => text.Contains("prompt 401\"", StringComparison.Ordinal) ? null : "Consistency: 2\nRealism: 1\nAesthetic Quality: 0");
        using var judge = Judge(server);

        var first = await Run(prompts, results, judge);
        Assert.Equal((5, 2, 1, 1), (first.Judged, first.Missing, first.WithoutImage, first.Failed)); // 401 says nothing usable, 901 has no image
        Assert.Equal(5 + 2, server.Asked.Count); // twice about 401
        Assert.Equal(0.8, first.Categories["Culture"], 12);
        Assert.Null(first.Overall);
        Assert.Contains(server.Asked, q => q.Text.Contains("told: \"prompt 1\"", StringComparison.Ordinal)
            && q.Text.Contains("shows this: \"explanation 1\"", StringComparison.Ordinal) && q.Model == "judge-1" && q.Key == "Bearer secret"
            && Convert.FromBase64String(q.Image["data:image/png;base64,".Length..]).SequenceEqual(File.ReadAllBytes(_folder["images/1.png"])));

        // A line that a killed process left half written, and an image that was drawn anew.
        File.AppendAllText(results, "{\"prompt_id\": 2, \"consist");
        Images(prompts.Skip(6));
        Image(2, 99);
        server.Asked.Clear();
        server.Answer = text => "Consistency: 1\nRealism: 0\nAesthetic Quality: 0";
        var second = await Run(prompts, results, judge);
        Assert.Equal(["prompt 2", "prompt 401", "prompt 901"], server.Asked.Select(q => q.Text.Split('"')[1]).Order(StringComparer.Ordinal));
        Assert.Equal((7, 0, 0, 0), (second.Judged, second.Missing, second.WithoutImage, second.Failed));
        Assert.Equal((0.8 + 0.35) / 2, second.Categories["Culture"], 12);
        Assert.NotNull(second.Overall);

        server.Asked.Clear();
        Assert.Equal(second.Overall, (await Run(prompts, results, judge)).Overall);
        Assert.Empty(server.Asked);
        Assert.Equal(second.Overall, (await WiseRun.RunAsync(prompts, _folder["images"], results, null, false, 1, null, default)).Overall);
    }

    [Fact]
    public async Task Verdicts_of_another_judge_or_benchmark_are_not_mixed()
    {
        var prompts = Prompts(1);
        Images(prompts);
        using var server = new FakeJudge(_ => "Consistency: 2\nRealism: 1\nAesthetic Quality: 0");
        using var judge = Judge(server);
        await Run(prompts, _folder["r.jsonl"], judge);
        using var other = new WiseJudge(server.Url, "judge-2", isVerified: false);
        using var reworded = new WiseJudge(server.Url, "judge-1", isVerified: false, instructions: "Is this {prompt}?");
        await Assert.ThrowsAsync<ConfigException>(() => Run(prompts, _folder["r.jsonl"], other));
        await Assert.ThrowsAsync<ConfigException>(() => Run(prompts, _folder["r.jsonl"], reworded));
        await Assert.ThrowsAsync<ConfigException>(
            () => WiseRun.RunAsync(prompts, _folder["images"], _folder["r.jsonl"], null, isVerified: true, 1, null, default));
        Assert.Throws<ConfigException>(() => new WiseJudge(server.Url, "judge-1", false, instructions: "no place for it"));
        Assert.Throws<ConfigException>(() => new WiseJudge("not an address", "judge-1", false));
    }

    [Fact]
    public async Task Busy_judges_are_asked_again_and_refusals_are_told()
    {
        var prompts = Prompts(1);
        Images(prompts);
        using var server = new FakeJudge(_ => "Score: 1") { Statuses = new([429, 503]) };
        using var judge = Judge(server, isVerified: true);
        Assert.Equal(1, (await Run(prompts, _folder["r.jsonl"], judge)).Categories["Culture"]);
        Assert.Equal(3, server.Asked.Count);

        server.Statuses = new([401]);
        var error = await Assert.ThrowsAsync<NextPatchException>(() => Run(prompts, _folder["other.jsonl"], judge));
        Assert.Contains("401", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("[{\"prompt_id\": 1001, \"Prompt\": \"a\", \"Explanation\": \"b\"}]")]
    [InlineData("[{\"prompt_id\": 1, \"Prompt\": \"a\"}]")]
    [InlineData("[{\"prompt_id\": \"x\", \"Prompt\": \"a\", \"Explanation\": \"b\"}]")]
    [InlineData("[{\"prompt_id\": 1, \"Prompt\": \"a\", \"Explanation\": \"b\"}, {\"prompt_id\": 1, \"Prompt\": \"a\", \"Explanation\": \"b\"}]")]
    [InlineData("[]")]
    [InlineData("nothing")]
    public void Lists_of_another_kind_are_refused(string json)
    {
        File.WriteAllText(_folder["list.json"], json);
        Assert.Throws<DataFormatException>(() => WisePrompts.Read([_folder["list.json"]]));
    }

    [Theory]
    [InlineData(
        """{"prompt_id":1,"consistency":3,"realism":0,"aesthetic_quality":0,"verified":false,"judge":"a","instructions":"b","image":"c"}""")]
    [InlineData("{\"prompt_id\":1}")]
    [InlineData("nothing")]
    public async Task Damaged_verdicts_are_named(string line)
    {
        var prompts = Prompts(1);
        File.WriteAllText(_folder["r.jsonl"], line + "\n");
        var error = await Assert.ThrowsAsync<DataFormatException>(
            () => WiseRun.RunAsync(prompts, _folder["images"], _folder["r.jsonl"], null, false, 1, null, default));
        Assert.Contains("line 1", error.Message, StringComparison.Ordinal);
    }

    private static WiseJudge Judge(FakeJudge server, bool isVerified = false) => new(server.Url, "judge-1", isVerified, "secret")
    {
        FirstPause = TimeSpan.FromMilliseconds(1), Tries = isVerified ? 5 : 2,
    };

    private Task<WiseSummary> Run(IReadOnlyList<WisePrompt> prompts, string results, WiseJudge judge)
        => WiseRun.RunAsync(prompts, _folder["images"], results, judge, judge.IsVerified, jobs: 3, null, CancellationToken.None);

    private IReadOnlyList<WisePrompt> Prompts(params int[] ids)
    {
        File.WriteAllText(_folder["list.json"], new JsonArray([.. ids.Select(id => (JsonNode)new JsonObject
        {
            ["prompt_id"] = id, ["Prompt"] = $"prompt {id}", ["Explanation"] = $"explanation {id}", ["Category"] = "ignored",
            ["Subcategory"] = "ignored",
        })]).ToJsonString());
        return WisePrompts.Read([_folder["list.json"]]);
    }

    private void Images(IEnumerable<WisePrompt> prompts)
    {
        foreach (var prompt in prompts)
        {
            Image(prompt.Id, (byte)prompt.Id);
        }
    }

    private void Image(int id, byte level)
    {
        Directory.CreateDirectory(_folder["images"]);
        new RgbImage(4, 4, [.. Enumerable.Repeat(level, 48)]).SavePng(_folder[$"images/{id}.png"]);
    }

    /// <summary>An endpoint on this machine that answers what it is told to.</summary>
    private sealed class FakeJudge : IDisposable
    {
        private readonly HttpListener _listener = new();

        public FakeJudge(Func<string, string?> answer)
        {
            Answer = answer;
            using (var free = new TcpListener(IPAddress.Loopback, 0))
            {
                free.Start();
                Url = $"http://127.0.0.1:{((IPEndPoint)free.LocalEndpoint).Port}/v1";
            }

            _listener.Prefixes.Add(Url + "/");
            _listener.Start();
            _ = Task.Run(ServeAsync);
        }

        public string Url { get; }

        /// <summary>What the model says to a text; null: nothing that a judge should say.</summary>
        public Func<string, string?> Answer { get; set; }

        /// <summary>Answered before any other.</summary>
        public ConcurrentQueue<int> Statuses { get; set; } = [];

        public ConcurrentBag<(string Text, string Image, string Model, string? Key)> Asked { get; } = [];

        public void Dispose() => _listener.Close();

        private async Task ServeAsync()
        {
            while (_listener.IsListening)
            {
                HttpListenerContext context;
                try
                {
                    context = await _listener.GetContextAsync();
                }
                catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
                {
                    return;
                }

                using var reader = new StreamReader(context.Request.InputStream);
                var body = JsonNode.Parse(await reader.ReadToEndAsync())!;
                var content = body["messages"]![0]!["content"]!;
                var text = (string)content[0]!["text"]!;
                Asked.Add((text, (string)content[1]!["image_url"]!["url"]!, (string)body["model"]!, context.Request.Headers["Authorization"]));
                context.Response.StatusCode = Statuses.TryDequeue(out var status) ? status
                    : context.Request.Url!.AbsolutePath == "/v1/chat/completions" ? 200 : 404;
                using var writer = new StreamWriter(context.Response.OutputStream);
                await writer.WriteAsync(new JsonObject
                {
                    ["choices"] = new JsonArray(new JsonObject { ["message"] = new JsonObject { ["content"] = Answer(text) ?? "Sorry." } }),
                }.ToJsonString());
            }
        }
    }
}
