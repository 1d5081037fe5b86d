using Mono.Cecil;

namespace NextPatch.Cli.Tests;

/// <summary>Folders of a project are namespaces, and they form no cycle: each can be read, moved and tested after those that it uses.</summary>
public sealed class FolderCycleTests
{
    /// <summary>The projects that lie beside these tests, the program included.</summary>
    public static TheoryData<string> Projects
        => [.. Directory.GetFiles(AppContext.BaseDirectory, "NextPatch*.dll").Select(f => Path.GetFileNameWithoutExtension(f))
            .Where(n => !n.Contains("Test"))];

    [Theory]
    [MemberData(nameof(Projects))]
    public void Folders_form_no_cycle(string project)
    {
        var edges = Edges(project);
        var cyclic = edges.Keys.Where(edge => Reaches(edges.Keys, edge.To, edge.From)).Order();
        Assert.Empty(cyclic.Select(edge => $"{edge.From} -> {edge.To} in {edges[edge]}"));
    }

    /// <summary>Uses between namespaces, each with a type that has it.</summary>
    private static Dictionary<(string From, string To), string> Edges(string project)
    {
        using var assembly = AssemblyDefinition.ReadAssembly(Path.Combine(AppContext.BaseDirectory, project + ".dll"));
        var edges = new Dictionary<(string From, string To), string>();
        foreach (var type in assembly.MainModule.GetTypes())
        {
            var from = Outermost(type).Namespace;
            foreach (var used in References(type).SelectMany(Parts).Where(used => used.Scope == assembly.MainModule))
            {
                if (Outermost(used).Namespace is var to && to != from && Is(from) && Is(to))
                {
                    edges.TryAdd((from, to), $"{type.FullName}: {used.FullName}");
                }
            }
        }

        return edges;

        bool Is(string name) => name.StartsWith(project, StringComparison.Ordinal); // not what compilers add
    }

    private static bool Reaches(ICollection<(string From, string To)> edges, string from, string to)
    {
        var (seen, open) = (new HashSet<string> { from }, new Stack<string>([from]));
        while (open.TryPop(out var at))
        {
            foreach (var edge in edges.Where(edge => edge.From == at && seen.Add(edge.To)))
            {
                open.Push(edge.To);
            }
        }

        return seen.Contains(to);
    }

    /// <summary>Everything that a type's code names: bases, signatures, fields, bodies, constraints and attributes.</summary>
    private static IEnumerable<TypeReference?> References(TypeDefinition type) =>
    [
        type.BaseType, .. type.Interfaces.Select(i => i.InterfaceType), .. Attributes(type), .. Constraints(type),
        .. type.Fields.SelectMany(f => Attributes(f).Append(f.FieldType)),
        .. type.Properties.SelectMany(p => Attributes(p).Append(p.PropertyType)), .. type.Methods.SelectMany(References),
    ];

    private static IEnumerable<TypeReference?> References(MethodDefinition method) =>
    [
        .. Signature(method), .. Attributes(method), .. Constraints(method), .. method.Parameters.SelectMany(Attributes),
        .. !method.HasBody ? Array.Empty<TypeReference?>() :
        [
            .. method.Body.Variables.Select(v => v.VariableType), .. method.Body.ExceptionHandlers.Select(h => h.CatchType),
            .. method.Body.Instructions.SelectMany(i => i.Operand switch
            {
                TypeReference used => [used],
                FieldReference field => [field.DeclaringType, field.FieldType],
                MethodReference called => Signature(called).Append(called.DeclaringType),
                _ => Array.Empty<TypeReference?>(),
            }),
        ],
    ];

    private static IEnumerable<TypeReference?> Signature(MethodReference method)
        => [method.ReturnType, .. method.Parameters.Select(p => p.ParameterType), .. (method as GenericInstanceMethod)?.GenericArguments ?? []];

    private static IEnumerable<TypeReference?> Attributes(ICustomAttributeProvider provider) => provider.CustomAttributes.SelectMany(a =>
        a.ConstructorArguments.Select(c => c.Value as TypeReference).Append(a.AttributeType));

    private static IEnumerable<TypeReference?> Constraints(IGenericParameterProvider provider)
        => provider.GenericParameters.SelectMany(p => p.Constraints).Select(c => c.ConstraintType);

    /// <summary>The types that a name is made of: an array's element, a generic's arguments.</summary>
    private static IEnumerable<TypeReference> Parts(TypeReference? type) => type switch
    {
        null or GenericParameter => [],
        GenericInstanceType generic => Parts(generic.ElementType).Concat(generic.GenericArguments.SelectMany(Parts)),
        FunctionPointerType pointer => Parts(pointer.ReturnType).Concat(pointer.Parameters.SelectMany(p => Parts(p.ParameterType))),
        IModifierType modified => Parts(((TypeSpecification)type).ElementType).Concat(Parts(modified.ModifierType)),
        TypeSpecification made => Parts(made.ElementType),
        _ => [type],
    };

    private static TypeReference Outermost(TypeReference type) => type.DeclaringType is { } outer ? Outermost(outer) : type;
}
