using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using NextPatch.Core;

namespace NextPatch.Extensions.AI;

/// <summary>NextPatch among an application's services.</summary>
public static class NextPatchServices
{
    /// <summary>
    /// Adds an <see cref="ImageGenerator"/> and, around it, an <see cref="IImageGenerator"/>; one of each, opened when the first is asked for.
    /// </summary>
    /// <param name="services">The application's.</param>
    /// <param name="model">What <see cref="ImageGenerator.Load(string, ImageGeneratorOptions?)"/> opens; null: the model that comes with the
    /// library.</param>
    /// <param name="options">How; null: the defaults.</param>
    /// <returns>What UseLogging, UseOpenTelemetry and the like are called on.</returns>
    /// <exception cref="NextPatchException">On first use: the model cannot be opened.</exception>
    public static ImageGeneratorBuilder AddNextPatch(this IServiceCollection services, string? model = null, ImageGeneratorOptions? options = null)
    {
        services.AddSingleton(_ => model is null ? ImageGenerator.LoadBuiltIn() : ImageGenerator.Load(model, options));
        return services.AddImageGenerator(provider => new NextPatchImageGenerator(provider.GetRequiredService<ImageGenerator>(), model));
    }
}
