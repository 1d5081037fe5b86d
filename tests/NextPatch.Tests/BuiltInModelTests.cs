using NextPatch.Sampling;

namespace NextPatch.Tests;

public sealed class BuiltInModelTests
{
    [Fact]
    public async Task It_draws_without_any_file_beside_the_library()
    {
        using var generator = ImageGenerator.LoadBuiltIn();
        Assert.Equal(10, generator.ClassCount);
        Assert.StartsWith("C# (CPU, int8)", generator.Engine, StringComparison.Ordinal);
        var images = new List<GeneratedImage>();
        await foreach (var image in generator.GenerateAsync(new ImageRequest { Classes = ["heart", "star"], Count = 2, Seed = 1 }))
        {
            images.Add(image);
        }

        Assert.Equal(["heart", "star"], images.Select(image => image.ClassName));
        Assert.All(images, image => Assert.InRange(image.Pixels.ToArray().Distinct().Count(), 20, 256));
    }

    /// <summary>A process that is killed while it opens the model leaves its temporary files.</summary>
    [Fact]
    public void What_a_killed_process_left_is_deleted_after_an_hour()
    {
        DirectoryInfo[] left = [.. Enumerable.Range(0, 2).Select(_ => Directory.CreateTempSubdirectory(BuiltInModel.FolderPrefix))];
        try
        {
            Array.ForEach(left, folder => File.WriteAllText(Path.Combine(folder.FullName, "model.safetensors"), "half of it"));
            left[0].LastWriteTimeUtc = DateTime.UtcNow.AddMinutes(-61);
            left[1].LastWriteTimeUtc = DateTime.UtcNow.AddMinutes(-59);

            ImageGenerator.LoadBuiltIn().Dispose();

            Assert.Equal([false, true], left.Select(folder => Directory.Exists(folder.FullName)));
        }
        finally
        {
            foreach (var folder in left.Where(folder => Directory.Exists(folder.FullName)))
            {
                folder.Delete(recursive: true);
            }
        }
    }

    [Fact]
    public async Task Rows_come_one_by_one_and_the_last_ones_are_the_image()
    {
        using var generator = ImageGenerator.LoadBuiltIn();
        var request = new ImageRequest { Classes = ["heart"], Count = 2, Seed = 3 };
        var rows = new List<PartialImage>();
        await foreach (var row in generator.GenerateRowsAsync(request))
        {
            rows.Add(row);
        }

        Assert.Equal(Enumerable.Range(1, 8), rows.Where(row => row.Index == 1).Select(row => row.Rows));
        var index = 0;
        await foreach (var image in generator.GenerateAsync(request))
        {
            Assert.Equal(image.Pixels.ToArray(), rows.Single(row => row.Index == index && row.Rows == 8).Pixels.ToArray());
            index++;
        }

        var early = rows.First(row => row.Rows == 3);
        Assert.Equal(24, early.Codes.Count);
        var pixels = early.Pixels.ToArray();
        var (drawn, rest) = (pixels[..(pixels.Length * 3 / 8)], pixels[(pixels.Length * 3 / 8)..]);
        var red = drawn.Where((_, i) => i % 3 == 0).Average(v => (double)v);
        Assert.All(rest.Where((_, i) => i % 3 == 0), v => Assert.Equal((byte)red, v)); // the mean of what is drawn
        Assert.Throws<Core.ConfigException>(() => generator.GenerateRowsAsync(new ImageRequest { Count = 17 }));
    }

    [Fact]
    public async Task Leaving_an_enumeration_of_rows_leaves_the_generator_usable()
    {
        using var generator = ImageGenerator.LoadBuiltIn();
        await foreach (var row in generator.GenerateRowsAsync(new ImageRequest { Count = 16 }))
        {
            Assert.Equal(1, row.Rows);
            break;
        }

        await foreach (var image in generator.GenerateAsync(new ImageRequest { Count = 1 }))
        {
            Assert.Equal(32, image.Width);
        }
    }

    [Fact]
    public async Task Given_codes_stay_in_every_image()
    {
        using var generator = ImageGenerator.LoadBuiltIn();
        int[] given = [.. Enumerable.Range(0, 64).Select(i => i < 24 ? i : -1)];
        var seen = 0;
        await foreach (var row in generator.GenerateRowsAsync(new ImageRequest { Count = 2, GivenCodes = given }))
        {
            Assert.Equal(given.Take(Math.Min(24, row.Codes.Count)), row.Codes.Take(24));
            seen++;
        }

        Assert.Equal(16, seen);
    }
}
