namespace NextPatch.Core.Checkpoints.Pickle;

/// <summary>A Python argparse.Namespace: a dictionary whose entries arrive as attributes.</summary>
internal sealed class PickleNamespace : Dictionary<object, object?>;
