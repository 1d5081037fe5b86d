using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using NextPatch.Core;
using NextPatch.Core.Imaging;
using NextPatch.Data.Imaging;

namespace NextPatch.Server.Api;

/// <summary>The pictures of an edit: what stays of the first, and where it is drawn anew.</summary>
/// <param name="Picture">The middle square at the model's size.</param>
/// <param name="Mask">Of the same size, white where codes are drawn.</param>
internal sealed record EditUpload(RgbImage Picture, RgbImage Mask)
{
    private const int MostSide = 4096;
    private const long MostMaskBytes = 4 << 20;
    private const int White = 128;

    /// <summary>The form, its files in memory.</summary>
    /// <exception cref="ApiException">It is no form, or too large.</exception>
    public static async Task<IFormCollection> ReadFormAsync(HttpContext context)
    {
        context.Features.Set<IFormFeature>(new FormFeature(context.Request, new FormOptions
        {
            MemoryBufferThreshold = UploadBudget.MostPerRequest,
            MultipartBodyLengthLimit = UploadBudget.MostPerRequest,
            ValueCountLimit = 64,
            KeyLengthLimit = 256,
            ValueLengthLimit = 256 << 10,
        }));
        try
        {
            return await context.Request.ReadFormAsync(context.RequestAborted).ConfigureAwait(false);
        }
        catch (Exception e) when (e is InvalidDataException or (IOException and not BadHttpRequestException))
        {
            throw new ApiException(400, $"The form cannot be read: {e.Message}", code: "invalid_form");
        }
    }

    /// <param name="files">Of the form, in any order: image (or image[]) and mask.</param>
    /// <param name="side">Of the model's images, in pixels.</param>
    /// <exception cref="ApiException">One is missing, damaged, or does not fit the other.</exception>
    public static EditUpload Read(IFormFileCollection files, int side)
    {
        foreach (var file in files.Where(file => file.Name is not ("image" or "image[]" or "mask")))
        {
            throw new ApiException(400, "The files of the form are 'image' and 'mask'.", PrintableText.From(file.Name), "unknown_parameter");
        }

        var images = files.Where(file => file.Name is "image" or "image[]").ToList();
        var masks = files.GetFiles("mask");
        if (images.Count != 1 || masks.Count > 1)
        {
            throw new ApiException(
                400, $"One file 'image' and at most one 'mask' are taken, not {images.Count} and {masks.Count}.", "image", "invalid_value");
        }

        if (masks is [{ Length: > MostMaskBytes }])
        {
            throw ApiException.Value("mask", $"'mask' has {masks[0].Length} bytes; at most {MostMaskBytes} are taken.");
        }

        var file0 = Bytes(images[0]);
        var picture = Decode("image", () => UploadedPicture.Decode(file0, "image", MostSide));
        var mask = masks is [var own]
            ? Decode("mask", () => UploadedPicture.DecodeTransparency(Bytes(own), "mask", MostSide))
            : Decode("mask", () => UploadedPicture.DecodeTransparency(file0, "image", MostSide));
        if ((picture.Width, picture.Height) != (mask.Width, mask.Height))
        {
            throw ApiException.Value(
                "mask", $"'mask' is {mask.Width}x{mask.Height}, but 'image' is {picture.Width}x{picture.Height}; make them of one size.");
        }

        var square = ImageCrops.Centre(mask, side);
        return square.Pixels.Any(value => value >= White)
            ? new EditUpload(ImageCrops.Centre(picture, side), square)
            : throw ApiException.Value("mask", "Nothing is transparent in the middle square of 'mask', so nothing would be drawn anew.");
    }

    private static RgbImage Decode(string name, Func<RgbImage> decode)
    {
        try
        {
            return decode();
        }
        catch (DataFormatException e)
        {
            throw new ApiException(400, e.Message, name, "invalid_image");
        }
    }

    private static byte[] Bytes(IFormFile file)
    {
        var bytes = new byte[file.Length];
        using var stream = file.OpenReadStream();
        stream.ReadExactly(bytes);
        return bytes;
    }
}
