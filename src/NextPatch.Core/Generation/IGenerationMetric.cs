namespace NextPatch.Core.Generation;

/// <summary>Figures of the images that a model draws while it is trained. Training knows no more of them than their names.</summary>
public interface IGenerationMetric
{
    /// <summary>Draws and measures.</summary>
    /// <param name="engine">Stays the caller's.</param>
    /// <param name="cancellation">Reaches every loop.</param>
    /// <returns>Figures by name, as a line of metrics holds them: "fd-resnet20".</returns>
    IReadOnlyDictionary<string, double> Measure(IGenerationEngine engine, CancellationToken cancellation);
}
