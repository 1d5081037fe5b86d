// dotnet run --project samples/web-api, then http://localhost:5000/heart?seed=7
// dotnet run --project samples/web-api -- --model run    your own model; of one that takes prompts: /a small red star?seed=7
using Microsoft.Extensions.AI;
using NextPatch.Core;
using NextPatch.Extensions.AI;

var builder = WebApplication.CreateBuilder(args);
builder.Services.AddNextPatch(builder.Configuration["model"]).UseLogging();
var app = builder.Build();
app.MapGet("/{name}", async (string name, ulong? seed, IImageGenerator generator, CancellationToken cancellation) =>
{
    var options = new ImageGenerationOptions { AdditionalProperties = new() { ["seed"] = seed ?? 0 } };
    try { return Results.Bytes(((DataContent)(await generator.GenerateImagesAsync(name, options, cancellation)).Contents[0]).Data, "image/png"); }
    catch (ConfigException e) { return Results.BadRequest(e.Message); }
});
app.Run();
