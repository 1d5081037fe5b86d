using CsCheck;
using NextPatch.Core;
using NextPatch.Data.Codes;
using NextPatch.Data.Sources;

namespace NextPatch.Data.Tests.Codes;

public sealed class CodeAppenderTests
{
    private const int PerImage = 2 * 4;
    private static readonly CodeManifest Planned = new()
    {
        Name = "toy", GridSide = 2, VocabularySize = 50, ClassNames = ["a", "b"], Count = 12, Augmentations = 2, CropPolicy = "flip", ImageSide = 8,
    };
    private static readonly Dictionary<string, string> Settings = new() { ["crops"] = "flip", ["tokenizer"] = "abc" };

    [Fact]
    public void Store_grown_in_parts_has_the_bytes_of_one_written_at_once()
    {
        using var folder = new TemporaryFolder();
        Write(folder["grown"], CodeLayout.Store, 0, 5, 5, 12);
        CodeStore.Write(folder["whole"], Planned with { HeldOutCount = 2 }, Codes(0, 12), Labels(0, 12));
        foreach (var name in (string[])["codes.npy", "labels.npy", "dataset.json"])
        {
            Assert.Equal(File.ReadAllBytes(folder[$"whole/{name}"]), File.ReadAllBytes(folder[$"grown/{name}"]));
        }

        Assert.Equal(["codes.npy", "dataset.json", "encoding.json", "labels.npy"], Names(folder["grown"]));
    }

    [Theory]
    [InlineData(CodeLayout.Store)]
    [InlineData(CodeLayout.Published)]
    public void Fewer_images_than_planned_are_a_whole_folder(CodeLayout layout)
    {
        using var folder = new TemporaryFolder();
        Write(folder["codes"], layout, 0, 3, 9);
        using var store = CodeStore.Open(folder["codes"]);
        Assert.Equal((9, 2, layout == CodeLayout.Published), (store.Count, store.Manifest.HeldOutCount, store.IsPublishedLayout));
        Assert.Equal(("flip", 50, "b"), (store.Manifest.CropPolicy, store.Manifest.VocabularySize, store.Manifest.ClassNames[1]));
        Assert.Equal(Codes(0, 9), Read(store));
        Assert.Equal(Labels(0, 9), Enumerable.Range(0, 9).Select(store.Label));
        Assert.Empty(store.FindChangedFiles(TestContext.Current.CancellationToken) ?? []);
    }

    [Theory]
    [InlineData(CodeLayout.Store)]
    [InlineData(CodeLayout.Published)]
    public void Killed_writer_continues_where_it_saved_with_the_same_bytes(CodeLayout layout)
        => Gen.Select(Gen.Int[0, 11], Gen.Int[0, 11]).Sample((saved, lost) =>
        {
            using var folder = new TemporaryFolder();
            Write(folder["whole"], layout, 0, 12);
            using (var killed = Open(folder["killed"], layout))
            {
                Append(killed, 0, saved);
                killed.Save();
                Append(killed, saved, Math.Max(saved, lost)); // written, but no save says so
            }

            Assert.False(CodeStore.IsCodeFolder(folder["killed"]));
            using (var again = Open(folder["killed"], layout))
            {
                Assert.Equal((saved, saved, false), (again.Progress.Next, again.Progress.Count, again.IsComplete));
                Append(again, saved, 12);
                again.Publish();
            }

            AssertSame(folder["whole"], folder["killed"]);
        }, iter: 20, threads: 1);

    [Fact]
    public void Images_written_after_the_last_save_do_not_stay_when_the_next_run_ends_earlier()
    {
        using var folder = new TemporaryFolder();
        Write(folder["whole"], CodeLayout.Published, 0, 6);
        using (var killed = Open(folder["killed"], CodeLayout.Published))
        {
            Append(killed, 0, 11);
        }

        Write(folder["killed"], CodeLayout.Published, 0, 6);
        AssertSame(folder["whole"], folder["killed"]);
    }

    [Fact]
    public void Writer_killed_while_it_gave_the_names_is_finished_by_the_next()
    {
        foreach (var layout in Enum.GetValues<CodeLayout>())
        {
            using var folder = new TemporaryFolder();
            Write(folder["codes"], layout, 0, 12);
            var last = layout == CodeLayout.Store ? "codes.npy" : "toy8_codes";
            Directory.Move(folder[$"codes/{last}"], folder[$"codes/{last}.partial"]);
            Assert.False(CodeStore.IsCodeFolder(folder["codes"]));
            using (var again = Open(folder["codes"], layout))
            {
                Assert.True(again.IsComplete);
            }

            using var store = CodeStore.Open(folder["codes"]);
            Assert.Equal(Codes(0, 12), Read(store));
        }
    }

    [Fact]
    public void Other_settings_are_refused_with_what_differs()
    {
        using var folder = new TemporaryFolder();
        Write(folder["codes"], CodeLayout.Store, 0, 12);
        var other = Assert.Throws<ConfigException>(
            () => CodeAppender.Open(
            folder["codes"], Planned, CodeLayout.Published, new Dictionary<string, string> { ["crops"] = "ten", ["tokenizer"] = "abc" }));
        Assert.Contains("layout: Store there, now Published; crops: flip there, now ten.", other.Message, StringComparison.Ordinal);
        CodeStore.Write(folder["foreign"], Planned, Codes(0, 12), Labels(0, 12));
        Assert.Contains(
            "already holds codes", Assert.Throws<ConfigException>(() => Open(folder["foreign"], CodeLayout.Store)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Two_writers_do_not_share_a_folder()
    {
        using var folder = new TemporaryFolder();
        using var first = Open(folder["codes"], CodeLayout.Store);
        Assert.Contains(
            "another run", Assert.Throws<NextPatchException>(() => Open(folder["codes"], CodeLayout.Store)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_does_not_fit_is_not_stored()
    {
        using var folder = new TemporaryFolder();
        using var appender = Open(folder["codes"], CodeLayout.Store);
        var one = new AppendProgress { Next = 1, Count = 1 };
        Assert.Throws<ArgumentException>(() => appender.Append([0, 1, 2, 3, 4, 5, 6, 50], [0], [], one));
        Assert.Throws<ArgumentException>(() => appender.Append([0, 1, 2, 3, 4, 5, 6], [0], [], one));
        Assert.Throws<ArgumentException>(() => appender.Append(Codes(0, 1), [2], [], one));
        Assert.Throws<ArgumentException>(() => appender.Append(Codes(0, 1), [0], [], one with { Count = 2 }));
        Assert.Contains("None of the images", Assert.Throws<NextPatchException>(() => appender.Publish()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Images_left_out_are_remembered_over_runs()
    {
        using var folder = new TemporaryFolder();
        using (var killed = Open(folder["codes"], CodeLayout.Store))
        {
            killed.Append(
                Codes(0, 1), [0], [], new AppendProgress { Next = 3, Count = 1, SkippedCount = 2, Skipped = [new BadImage(1, "p", "why")] });
            killed.Save();
        }

        using var again = Open(folder["codes"], CodeLayout.Store);
        Assert.Equal((3, 1, 2), (again.Progress.Next, again.Progress.Count, again.Progress.SkippedCount));
        Assert.Equal(new BadImage(1, "p", "why"), Assert.Single(again.Progress.Skipped));
    }

    [Fact]
    public void Ten_crop_folder_with_a_manifest_still_takes_in_its_sibling()
    {
        using var folder = new TemporaryFolder();
        Write(folder["x_ten_crop"], CodeLayout.Published, 0, 12);
        Write(folder["x_ten_crop_105"], CodeLayout.Published, 0, 12);
        using var store = CodeStore.Open(folder["x_ten_crop"]);
        Assert.Equal((4, "ten-crop 1.1 and 1.05", 2), (store.Augmentations, store.Manifest.CropPolicy, store.Manifest.HeldOutCount));
    }

    private static CodeAppender Open(string folder, CodeLayout layout) => CodeAppender.Open(folder, Planned, layout, Settings);

    /// <summary>Images from the first end to the last, appended in the parts that the ends mark; the last two held out.</summary>
    private static void Write(string folder, CodeLayout layout, params ReadOnlySpan<int> ends)
    {
        using var appender = Open(folder, layout);
        for (var i = 1; i < ends.Length; i++)
        {
            Append(appender, ends[i - 1], ends[i], ends[^1]);
        }

        appender.Publish();
    }

    private static void Append(CodeAppender appender, int first, int end, int total = 12)
        => appender.Append(
            Codes(first, end), Labels(first, end), [], new AppendProgress { Next = end, Count = end, HeldOutCount = Math.Max(0, end - total + 2) });

    private static int[] Codes(int first, int end) => [.. Enumerable.Range(first * PerImage, (end - first) * PerImage).Select(i => i * 7 % 50)];

    private static int[] Labels(int first, int end) => [.. Enumerable.Range(first, end - first).Select(i => i % 2)];

    private static int[] Read(CodeStore store)
    {
        var codes = new int[store.Count * PerImage];
        for (var i = 0; i < store.Count * 2; i++)
        {
            store.ReadCodes(i / 2, i % 2, codes.AsSpan(i * 4, 4));
        }

        return codes;
    }

    private static string[] Names(string folder)
        => [.. Directory.EnumerateFiles(folder, "*",
            SearchOption.AllDirectories).Select(f => Path.GetRelativePath(folder, f)).Order(StringComparer.Ordinal)];

    private static void AssertSame(string expected, string actual)
    {
        Assert.Equal(Names(expected), Names(actual));
        Assert.All(Names(expected), name => Assert.Equal(
            File.ReadAllBytes(Path.Combine(expected, name)), File.ReadAllBytes(Path.Combine(actual, name))));
    }
}
