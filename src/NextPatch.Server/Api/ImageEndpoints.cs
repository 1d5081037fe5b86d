using System.Buffers;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using NextPatch.Server.Batching;

namespace NextPatch.Server.Api;

/// <summary><c>POST /v1/images/generations</c> and <c>POST /v1/images/edits</c>.</summary>
internal sealed class ImageEndpoints
{
    /// <summary>Bytes of a JSON body: the longest prompt, each character escaped.</summary>
    private const int MostJson = 256 << 10;

    /// <summary>Uploads that are pixels at a time: two pictures of the largest size take 200 MB.</summary>
    private static readonly SemaphoreSlim Decoding = new(2);

    private readonly IReadOnlyList<ServedModel> _models;
    private readonly ImageResponder _responder;
    private readonly UploadBudget _uploads = new();

    public ImageEndpoints(IReadOnlyList<ServedModel> models, ImageResponder responder) => (_models, _responder) = (models, responder);

    public async Task GenerateAsync(HttpContext context)
    {
        // Also what keeps pages of other sites from having images drawn: they may send JSON only where they are allowed to.
        if (!context.Request.HasJsonContentType())
        {
            throw new ApiException(415, "Send JSON, with Content-Type: application/json.", code: "unsupported_content_type");
        }

        var parameters = ImageParameters.Read(RequestFields.OfJson(await ReadAsync(context).ConfigureAwait(false)), _models);
        await _responder.AnswerAsync(context, parameters, "image_generation").ConfigureAwait(false);
    }

    public async Task EditAsync(HttpContext context)
    {
        if (!context.Request.HasFormContentType || !context.Request.ContentType!.StartsWith("multipart/", StringComparison.OrdinalIgnoreCase))
        {
            throw new ApiException(
                415, "Send a form with files, with Content-Type: multipart/form-data and its boundary.", code: "unsupported_content_type");
        }

        ImageParameters parameters;
        EditUpload upload;
        using (_uploads.Take(context.Request.ContentLength))
        {
            if (context.Request.ContentLength is null)
            {
                context.Features.Get<IHttpMaxRequestBodySizeFeature>()!.MaxRequestBodySize = UploadBudget.MostPerRequest;
            }

            var form = await EditUpload.ReadFormAsync(context).ConfigureAwait(false);
            parameters = ImageParameters.Read(RequestFields.OfForm(form), _models);
            await Decoding.WaitAsync(context.RequestAborted).ConfigureAwait(false);
            try
            {
                upload = EditUpload.Read(form.Files, parameters.Model.Side);
            }
            finally
            {
                Decoding.Release();
            }

            context.Features.Set<IFormFeature>(null); // the files' bytes need not wait for the images
        }

        await _responder.AnswerAsync(context, parameters, "image_edit", upload.Picture, upload.Mask).ConfigureAwait(false);
    }

    private static async Task<ReadOnlyMemory<byte>> ReadAsync(HttpContext context)
    {
        if (context.Request.ContentLength > MostJson)
        {
            throw TooLarge();
        }

        var reader = context.Request.BodyReader;
        while (true)
        {
            var read = await reader.ReadAsync(context.RequestAborted).ConfigureAwait(false);
            if (read.Buffer.Length > MostJson)
            {
                reader.AdvanceTo(read.Buffer.End); // what was read must be given back before the server reads the rest
                throw TooLarge();
            }

            if (read.IsCompleted)
            {
                var body = read.Buffer.ToArray();
                reader.AdvanceTo(read.Buffer.End);
                return body;
            }

            reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    private static ApiException TooLarge() => new(413, $"The body has more than {MostJson / 1024} KiB.", code: "body_too_large");
}
