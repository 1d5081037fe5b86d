namespace NextPatch.Core.Checkpoints;

/// <summary>A Python argparse.Namespace: a dictionary whose entries arrive as attributes.</summary>
internal sealed class PickleNamespace : Dictionary<object, object?>;
