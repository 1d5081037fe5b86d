using NextPatch.Core;
using NextPatch.Models;

namespace NextPatch.Tests.Models;

public sealed class RecordedTokenizerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _own;
    private readonly string _hash;

    public RecordedTokenizerTests()
    {
        _own = Write("own", "weights");
        _hash = WeightsHash.ComputeForTokenizer(_own);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void It_is_found_where_it_was_and_beside()
    {
        Assert.Equal(_own, Recorded().Find(null, []));
        Assert.Equal("named", Recorded().Find("named", []));
        Directory.Move(_own, _folder["moved"]);
        Assert.Equal(_folder["moved"], Recorded().Find(null, [_folder["nothing"], Write("other", "x"), _folder["moved"]]));
    }

    [Fact]
    public void What_has_moved_or_changed_is_said_with_what_was_recorded_and_what_to_do()
    {
        File.WriteAllText(Path.Combine(_own, "model.safetensors"), "others");
        var changed = Message();
        Directory.Delete(_own, recursive: true);
        var gone = Message();

        Assert.Contains("another one lies now", changed, StringComparison.Ordinal);
        Assert.Contains("not there any more", gone, StringComparison.Ordinal);
        Assert.All([changed, gone], message =>
        {
            Assert.Contains(_own, message, StringComparison.Ordinal);
            Assert.Contains(_hash[..12], message, StringComparison.Ordinal);
            Assert.Contains("Say with Tokenizer", message, StringComparison.Ordinal);
        });
    }

    [Fact]
    public void Without_a_record_the_place_beside_counts_and_nothing_is_no_error()
    {
        var nothing = new RecordedTokenizer("the codes in c", null, null);
        Assert.Null(nothing.Find(null, [_folder["nothing"]]));
        Assert.Equal(_own, nothing.Find(null, [_own]));
        var hashOnly = new RecordedTokenizer("the codes in c", null, _hash);
        Assert.Equal(_own, hashOnly.Find(null, [Write("other", "x"), _own]));
        Assert.Throws<NextPatchException>(() => hashOnly.RequireSame(Write("third", "y")));
    }

    [Fact]
    public void A_device_that_a_file_names_is_not_opened()
        => Assert.Throws<NextPatchException>(() => new RecordedTokenizer("the codes in c", "/dev/zero", _hash).Find(null, []));

    [Fact]
    public void Ids_of_ImageNet_have_names()
    {
        Assert.Equal("tench, Tinca tinca", ImageNetClasses.NameOf("n01440764"));
        Assert.Equal("toilet tissue, toilet paper, bathroom tissue", ImageNetClasses.NameOf("n15075141"));
        Assert.Equal("n00000000", ImageNetClasses.NameOf("n00000000"));
        Assert.Equal("nightgown", ImageNetClasses.NameOf("nightgown"));
        Assert.Equal(1, new ClassLookup(["n01440764", "n03888257"], 2).Find("parachute"));
        Assert.Equal(0, new ClassLookup(["n01440764", "n03888257"], 2).Find("n01440764"));
    }

    private RecordedTokenizer Recorded() => new("the codes in c", _own, _hash);

    private string Message() => Assert.Throws<NextPatchException>(() => Recorded().Find(null, [_folder["nothing"]])).Message;

    private string Write(string name, string weights)
    {
        Directory.CreateDirectory(_folder[name]);
        File.WriteAllText(Path.Combine(_folder[name], "model.safetensors"), weights);
        return _folder[name];
    }
}
