using System.Net;
using System.Net.Http.Headers;
using NextPatch.Data.Imaging;
using SkiaSharp;

namespace NextPatch.Server.Tests.Api;

/// <summary>POST /v1/images/edits: what stays, what is drawn, what is refused.</summary>
public sealed class EditTests
{
    private const int Side = 32;

    [Fact]
    public async Task What_the_mask_does_not_touch_above_stays_and_the_rest_is_drawn()
    {
        await using var server = await TestServer.StartAsync();
        var image = (await server.DrawAsync(new { prompt = "heart", seed = 7 }))[0];
        using var answer = await PostAsync(server, Form(("prompt", "star"), ("n", "2"), ("seed", "9")), image, Mask(y => y >= Side / 2));
        var json = await TestServer.JsonAsync(answer);
        Assert.True(answer.IsSuccessStatusCode, json.ToString());

        var before = ImageDecoder.Decode(image, "x").Pixels;
        var edited = json.GetProperty("data").EnumerateArray()
            .Select(i => ImageDecoder.Decode(i.GetProperty("b64_json").GetBytesFromBase64(), "x").Pixels).ToList();
        Assert.Equal(2, edited.Count);
        Assert.NotEqual(edited[0], edited[1]);
        Assert.All(edited, after =>
        {
            Assert.True(Difference(before, after, 0, 8) < 12, $"above {Difference(before, after, 0, 8)}");
            Assert.True(Difference(before, after, Side / 2, Side) > 0);
        });
    }

    [Fact]
    public async Task Fields_and_files_come_in_any_order_and_the_images_own_alpha_is_a_mask()
    {
        await using var server = await TestServer.StartAsync();
        using var form = new MultipartFormDataContent();
        form.Add(File(Mask(y => y > 20)), "image[]", "holes.png");
        form.Add(new StringContent("true"), "stream");
        form.Add(new StringContent("heart"), "prompt");
        form.Add(new StringContent("2"), "partial_images");
        using var answer = await server.Client.PostAsync("/v1/images/edits", form);

        Assert.Equal(
            ["image_edit.partial_image", "image_edit.partial_image", "image_edit.completed"],
            (await TestServer.EventsAsync(answer)).Select(e => e.Name));
    }

    [Theory]
    [InlineData("no image")]
    [InlineData("two images")]
    [InlineData("no picture")]
    [InlineData("gif")]
    [InlineData("truncated")]
    [InlineData("other size")]
    [InlineData("opaque mask")]
    [InlineData("nothing to draw")]
    [InlineData("unknown file")]
    [InlineData("unknown field")]
    [InlineData("image as text")]
    [InlineData("twice")]
    public async Task Wrong_forms_are_the_clients_fault(string what)
    {
        await using var server = await TestServer.StartAsync();
        var (image, mask) = (Mask(_ => false), Mask(y => y > 16));
        using var form = Form(("prompt", "heart"));
        if (what is not ("no image" or "image as text"))
        {
            form.Add(File(what switch
            {
                "no picture" => [1, 2, 3],
                "gif" => [.. "GIF89a"u8, 1, 0, 1, 0, 0, 0, 0, 0x3B],
                "truncated" => image[..(image.Length / 2)],
                _ => image,
            }), "image", "image.png");
        }

        form.Add(File(what switch
        {
            "other size" => Mask(_ => true, 16),
            "opaque mask" => Opaque(),
            "nothing to draw" => image,
            _ => mask,
        }), "mask", "mask.png");
        (string, string)? more =
            what switch { "unknown field" => ("strength", "1"), "image as text" => ("image", "x"), "twice" => ("prompt", "star"), _ => null };
        if (more is { } field)
        {
            form.Add(new StringContent(field.Item2), field.Item1);
        }
        else if (what is "two images" or "unknown file")
        {
            form.Add(File(image), what == "two images" ? "image" : "picture", "more.png");
        }

        await TestServer.ErrorAsync(await server.Client.PostAsync("/v1/images/edits", form), HttpStatusCode.BadRequest);
        Assert.Single(await server.DrawAsync(new { prompt = "heart" }));
    }

    [Theory]
    [InlineData("multipart/form-data", "", 400)]
    [InlineData("multipart/form-data; boundary=x", "--y\r\n", 400)]
    [InlineData("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nheart", 400)]
    [InlineData("multipart/form-data; boundary=x", "--x\r\nnonsense\r\n\r\n--x--\r\n", 400)]
    [InlineData("application/json", "{}", 415)]
    [InlineData("application/x-www-form-urlencoded", "prompt=heart", 415)]
    public async Task What_is_no_form_is_refused(string type, string body, int status)
    {
        await using var server = await TestServer.StartAsync();
        using var content = new ByteArrayContent(System.Text.Encoding.ASCII.GetBytes(body));
        content.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
        await TestServer.ErrorAsync(await server.Client.PostAsync("/v1/images/edits", content), (HttpStatusCode)status);
    }

    [Fact]
    public async Task Large_forms_and_large_pictures_are_refused_before_they_take_memory()
    {
        await using var server = await TestServer.StartAsync();
        using var large = await PostAsync(server, Form(("prompt", "heart")), new byte[20 << 20], Mask(_ => true));
        await TestServer.ErrorAsync(large, HttpStatusCode.RequestEntityTooLarge);
        using var wide = await PostAsync(server, Form(("prompt", "heart")), Mask(_ => true, 5000), Mask(_ => true));
        var error = await TestServer.ErrorAsync(wide, HttpStatusCode.BadRequest);
        Assert.Contains("4096", error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    private static double Difference(byte[] a, byte[] b, int top, int bottom)
        => Enumerable.Range(top * Side * 3, (bottom - top) * Side * 3).Average(i => Math.Abs(a[i] - b[i]));

    private static MultipartFormDataContent Form(params (string Name, string Value)[] fields)
    {
        var form = new MultipartFormDataContent();
        foreach (var (name, value) in fields)
        {
            form.Add(new StringContent(value), name);
        }

        return form;
    }

    private static Task<HttpResponseMessage> PostAsync(TestServer server, MultipartFormDataContent form, byte[] image, byte[] mask)
    {
        form.Add(File(mask), "mask", "mask.png");
        form.Add(File(image), "image", "image.png");
        return server.Client.PostAsync("/v1/images/edits", form);
    }

    private static ByteArrayContent File(byte[] bytes) => new(bytes) { Headers = { ContentType = new MediaTypeHeaderValue("image/png") } };

    /// <summary>A PNG file whose rows are transparent where it is said.</summary>
    private static byte[] Mask(Func<int, bool> isHole, int side = Side)
    {
        using var bitmap = new SKBitmap(new SKImageInfo(side, side, SKColorType.Rgba8888, SKAlphaType.Unpremul));
        for (var y = 0; y < side; y++)
        {
            bitmap.GetPixelSpan().Slice(y * side * 4, side * 4).Fill(isHole(y) ? (byte)0 : byte.MaxValue);
        }

        using var file = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return file.ToArray();
    }

    private static byte[] Opaque()
    {
        using var stream = new MemoryStream();
        Core.Imaging.PngWriter.Write(stream, new Core.Imaging.RgbImage(Side, Side));
        return stream.ToArray();
    }
}
