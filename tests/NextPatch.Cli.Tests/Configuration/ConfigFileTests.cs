using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Configuration;
using NextPatch.Cli.Studies;
using NextPatch.Cli.Tokenizers;
using NextPatch.Cli.Training;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Data.Codes;
using NextPatch.Training.Tokenizer;

namespace NextPatch.Cli.Tests.Configuration;

public sealed class ConfigFileTests
{
    private readonly TrainOptions _train = new();
    private readonly TokenizerTrainOptions _tokenizer = new();

    public static TheoryData<string> Recipes => [.. Names.Where(name => !name.StartsWith("study-", StringComparison.Ordinal))];

    public static TheoryData<string> Studies => [.. Names.Where(name => name.StartsWith("study-", StringComparison.Ordinal))];

    private static IEnumerable<string> Names => Directory.GetFiles(RecipeFolder, "*.json").Select(f => Path.GetFileName(f));

    private static string RecipeFolder => Path.Combine(AppContext.BaseDirectory, "recipes");

    [Theory]
    [MemberData(nameof(Recipes))]
    public void Every_recipe_gives_settings_that_work(string recipe)
    {
        var path = Path.Combine(RecipeFolder, recipe);
        var text = File.ReadAllText(path);
        var isTokenizer = text.Contains("nextpatch tokenizer train --config", StringComparison.Ordinal);
        Assert.Contains($"nextpatch {(isTokenizer ? "tokenizer " : "")}train --config recipes/{recipe}", text, StringComparison.Ordinal);

        var parsed = Parse(isTokenizer ? "tokenizer" : "train", "--config", path);

        Assert.Empty(parsed.Errors);
        if (isTokenizer)
        {
            var model = _tokenizer.Model.Resolve(parsed, null);
            var config = _tokenizer.Resolve(parsed, model, new TokenizerRunData("images", 3000, 500, 500), ComputePrecision.Fp32);
            Assert.Equal(1e-3, config.Objective.LearningRate);
            Assert.Equal([64, 128], config.Tokenizer.Channels);
        }
        else
        {
            var (model, training) = _train.Resolve(parsed, m => m);
            Assert.Equal((2, 0.5), (training.PatchLevel, training.StageRate));
            Assert.Equal(recipe == "quickstart.json", training.EmaWarmup);
            Assert.Equal(model, model.Validated());
        }
    }

    [Fact]
    public void The_rate_falls_over_the_recipes_share_unless_another_is_given()
    {
        Assert.Equal(0.2, _train.Resolve(Parse("train"), m => m).Item2.DecayRatio);
        Assert.Equal(0.4, _train.Resolve(Parse("train", "--decay-share", "0.4"), m => m).Item2.DecayRatio);
        Assert.Contains("decayRatio", Assert.Throws<ConfigException>(() => _train.Resolve(Parse("train", "--decay-share", "1.4"), m => m)).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Studies))]
    public void Every_study_can_be_planned(string recipe)
    {
        using var folder = new TemporaryFolder();
        var file = StudyFile.Read(Path.Combine(RecipeFolder, recipe));
        var side = recipe.Contains("imagenette", StringComparison.Ordinal) ? 16 : 8;
        var codes = new CodeManifest
        {
            Name = "x", GridSide = side, VocabularySize = 128, ClassNames = ["a", "b"], Count = 12000, HeldOutCount = 2000,
        };
        var plan = new StudyPlan(file, codes, folder["study"]);

        Assert.Contains($"nextpatch study recipes/{recipe}", File.ReadAllText(Path.Combine(RecipeFolder, recipe)), StringComparison.Ordinal);
        Assert.True(StudyTask.From(plan).Count >= file.Schedules.Count * file.Seeds.Count);
        Assert.All(file.Schedules, s => Assert.True(plan.PlannedSteps(s) > 1));
    }

    [Fact]
    public void The_command_line_wins_over_the_file()
    {
        using var folder = new TemporaryFolder();
        var file = Write(folder, """
            { "description": "x", "codes": "there", "output": "run", "steps": 40, "batch-size": 8, "fixed-ema": true, "class-dropout": 2e-1 }
            """);

        var parsed = Parse("train", "--steps", "7", "--config", file, "--fixed-ema=false");
        var (model, training) = _train.Resolve(parsed, m => m);

        Assert.Equal("there", parsed.GetRequiredValue(_train.Codes));
        Assert.Equal((7L, 8, true, 0.2), (training.Steps, training.BatchSize, training.EmaWarmup, model.ClassDropout));
    }

    [Fact]
    public void Lists_become_several_values()
    {
        using var folder = new TemporaryFolder();
        var file = Write(
            folder, """{ "images": "a=b", "output": "-run", "image-size": 64, "perceptual": """
                + """["vgg16.pth", "heads.pth"], "discriminator": "patchgan" }""");

        var parsed = Parse("tokenizer", "--config", file);

        Assert.Empty(parsed.Errors);
        Assert.Equal(["vgg16.pth", "heads.pth"], parsed.GetRequiredValue(_tokenizer.Perceptual));
        Assert.Equal(("a=b", "-run"), (parsed.GetRequiredValue(_tokenizer.Images), parsed.GetRequiredValue(_tokenizer.Frame.Output)));
    }

    [Theory]
    [InlineData("""{ "batchSize": 8 }""", "'batchSize' is no option of this command; did you mean 'batch-size'? Keys are attention-dropout, ")]
    [InlineData("""{ "qqqqqqqqq": 8 }""", "'qqqqqqqqq' is no option of this command. Keys are ")]
    [InlineData("""{ "config": "x.json" }""", "'config' is no option of this command")]
    [InlineData("""{ "steps": 8, "steps": 9 }""", "'steps' is there twice")]
    [InlineData("""{ "steps": "8" }""", "'steps' must be a number, not \"8\"")]
    [InlineData("""{ "steps": [8] }""", "'steps' must be a number, not a list")]
    [InlineData("""{ "fixed-ema": 1 }""", "'fixed-ema' must be true or false, not 1")]
    [InlineData("""{ "codes": null }""", "'codes' must be text, not null")]
    [InlineData("""{ "codes": "" }""", "'codes' must be text, not empty text")]
    [InlineData("""{ "recipe": 5, "preset": {} }""", "'preset' must be text, not an object")]
    [InlineData("""{ "steps": 2.5 }""", "'steps' in '")]
    [InlineData("""{ "checkpoint-every": -1 }""", "--checkpoint-every -1 must be at least 0.")]
    [InlineData("""{ "on-full-disk": "dance" }""", "'on-full-disk' in '")]
    [InlineData("[1]", "must hold a JSON object")]
    [InlineData("{ \"steps\": 8", "is no JSON")]
    public async Task A_file_that_cannot_be_used_is_a_usage_error_that_names_the_key(string json, string message)
    {
        using var folder = new TemporaryFolder();
        var result = await CommandLine.RunAsync("train", "--codes", "c", "--output", "o", "--config", Write(folder, json));
        Assert.Equal(ExitCode.Usage, result.ExitCode);
        Assert.Contains(message, result.Error, StringComparison.Ordinal);
        Assert.Contains("config.json", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_file_is_a_usage_error()
    {
        using var folder = new TemporaryFolder();
        foreach (var command in (string[][])[["train"], ["tokenizer", "train"]])
        {
            var result = await CommandLine.RunAsync([.. command, "--config", folder["none.json"]]);
            Assert.Equal(ExitCode.Usage, result.ExitCode);
            Assert.Contains($"--config '{folder["none.json"]}' cannot be read", result.Error, StringComparison.Ordinal);
        }
    }

    private static string Write(TemporaryFolder folder, string json)
    {
        File.WriteAllText(folder["config.json"], json);
        return folder["config.json"];
    }

    private ParseResult Parse(string command, params string[] arguments)
    {
        var (train, tokenizer) = (new Command("train"), new Command("tokenizer"));
        _train.AddTo(train);
        _tokenizer.AddTo(tokenizer);
        return ConfigFile.Parse(new RootCommand { train, tokenizer }, [command, .. arguments]).Parsed;
    }
}
