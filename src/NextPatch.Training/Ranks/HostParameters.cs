using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NextPatch.Training.Ranks;

/// <summary>
/// The parameters of a model on another device once more in the processor's memory, where ranks sum gradients and update weights.
/// </summary>
internal sealed class HostParameters : IDisposable
{
    private readonly Dictionary<string, (Parameter There, Parameter Here)> _pairs;

    /// <param name="parameters">Of the model, in state order; they stay the caller's.</param>
    public HostParameters(IReadOnlyList<(string Name, Parameter Parameter)> parameters)
    {
        _pairs = parameters.ToDictionary(p => p.Name, p => (p.Parameter, Copy(p.Parameter)));
        Parameters = [.. parameters.Select(p => (p.Name, _pairs[p.Name].Here))];
    }

    /// <summary>What is updated, in state order.</summary>
    public IReadOnlyList<(string Name, Parameter Parameter)> Parameters { get; }

    /// <summary>Takes the gradient of a parameter away from the device.</summary>
    public void TakeGradient(string name)
    {
        var (there, here) = _pairs[name];
        using var gradient = there.grad;
        using var copy = gradient?.cpu();
        here.grad = copy;
        there.grad = null;
    }

    /// <summary>Takes the weights from the device.</summary>
    public void TakeWeights()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        foreach (var (there, here) in _pairs.Values)
        {
            here.copy_(there);
        }
    }

    /// <summary>Gives the device the weights.</summary>
    public void GiveWeights()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        foreach (var (there, here) in _pairs.Values)
        {
            there.copy_(here);
        }
    }

    public void Dispose()
    {
        foreach (var (_, here) in _pairs.Values)
        {
            here.Dispose();
        }
    }

    private static Parameter Copy(Parameter parameter)
    {
        using var noGradient = no_grad();
        using var here = parameter.cpu();
        return new Parameter(here.clone());
    }
}
