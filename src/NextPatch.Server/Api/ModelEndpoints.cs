using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using NextPatch.Server.Batching;

namespace NextPatch.Server.Api;

/// <summary><c>GET /v1/models</c> and <c>GET /v1/models/{id}</c>.</summary>
internal sealed class ModelEndpoints
{
    private readonly IReadOnlyList<ServedModel> _models;

    public ModelEndpoints(IReadOnlyList<ServedModel> models) => _models = models;

    public Task ListAsync(HttpContext context) => WriteAsync(context, json =>
    {
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        foreach (var model in _models)
        {
            json.WriteStartObject();
            WriteModel(json, model);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    });

    /// <summary>The model, and with it what the contract has no fields for: sizes, engine, classes.</summary>
    public Task GetAsync(HttpContext context)
    {
        // Clients in JavaScript escape the slash of a name, and the server leaves that one character escaped.
        var name = ((string)context.GetRouteValue("id")!).Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
        var model = _models.FirstOrDefault(model => model.Name == name) ?? throw ImageParameters.NoModel(name, _models);
        return WriteAsync(context, json =>
        {
            json.WriteStartObject();
            WriteModel(json, model);
            json.WriteStartObject("nextpatch");
            json.WriteString("size", $"{model.Side}x{model.Side}");
            json.WriteNumber("rows", model.Model.Config.Model.GridSide);
            json.WriteBoolean("guidance", model.Model.Config.Model.HasNullClass);
            json.WriteBoolean("prompts", model.Model.TakesPrompts);
            json.WriteString("engine", model.Model.Engine.Name);
            json.WriteString("model_hash", model.Model.Hash);
            json.WriteStartArray("classes");
            foreach (var label in model.Classes)
            {
                json.WriteStringValue(label);
            }

            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteEndObject();
        });
    }

    private static void WriteModel(Utf8JsonWriter json, ServedModel model)
    {
        json.WriteString("id", model.Name);
        json.WriteString("object", "model");
        json.WriteNumber("created", model.Created);
        json.WriteString("owned_by", "nextpatch");
    }

    private static async Task WriteAsync(HttpContext context, Action<Utf8JsonWriter> write)
    {
        context.Response.ContentType = "application/json";
        await using (var json = new Utf8JsonWriter(context.Response.BodyWriter))
        {
            write(json);
        }

        await context.Response.BodyWriter.FlushAsync(context.RequestAborted).ConfigureAwait(false);
    }
}
