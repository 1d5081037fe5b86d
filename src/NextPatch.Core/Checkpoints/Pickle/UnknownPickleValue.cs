namespace NextPatch.Core.Checkpoints.Pickle;

/// <summary>A Python object that a checkpoint holds beside its weights and that has no counterpart here: its name and its data.</summary>
/// <remarks>
/// <para>Nothing of the named class is looked up, constructed or executed. Two kinds of object are kept so; a pickle that uses any
/// name outside the allow-list in another way is refused with that name.</para>
/// <list type="bullet">
/// <item>Values of a few harmless names that training scripts put into their settings: numpy.dtype, numpy scalars and arrays.</item>
/// <item>Instances of any class, if the pickle gives them as data alone: an empty object (NEWOBJ without arguments) that then
/// receives its attributes (BUILD). This is how Python writes an ordinary object. An unknown name that is called (REDUCE, as in
/// os.system), made with arguments, filled as a container, or left standing as a value is refused.</item>
/// </list>
/// </remarks>
public sealed class UnknownPickleValue
{
    internal UnknownPickleValue(string name) => Name = name;

    /// <summary>Module and name, "my_project.config.Config".</summary>
    public string Name { get; }

    /// <summary>What the object would have been given as its attributes, as <c>PyTorchFile.Read</c> returns values; null if nothing.</summary>
    public object? State { get; internal set; }

    /// <inheritdoc/>
    public override string ToString() => Name;
}
