using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using NextPatch.Core.Tensors;
using NextPatch.Training.Optimization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NextPatch.Training.Ranks;

/// <summary>
/// Parameters that travel together, laid one behind the other and cut into as many equal pieces as there are ranks: rank r updates piece r.
/// </summary>
internal sealed unsafe class Bucket
{
    private const int Alignment = 16; // floats; pieces begin where vectors do

    private readonly Member[] _members;
    private int _waiting;

    /// <param name="parameters">Float32 on the CPU, with a bf16 copy or null.</param>
    /// <param name="ranks">How many pieces there are, and which is ours.</param>
    /// <param name="hasAverage">Whether room for an EMA is needed.</param>
    public Bucket(IEnumerable<(string Name, Parameter Parameter, Tensor? Copy)> parameters, ICommunicator ranks, bool hasAverage)
    {
        var offset = 0;
        _members = [.. parameters.Select(p =>
        {
            var member = new Member(p.Name, p.Parameter, offset, p.Copy);
            offset += member.Length;
            return member;
        })];
        var perRank = (offset + ranks.Size - 1) / ranks.Size;
        PieceLength = (perRank + Alignment - 1) / Alignment * Alignment;
        OwnStart = ranks.Rank * PieceLength;
        Gradients = OptimizerPart.Zeros(PieceLength, isPinned: true);
        FirstMoments = OptimizerPart.Zeros(PieceLength, isPinned: true);
        SecondMoments = OptimizerPart.Zeros(PieceLength, isPinned: true);
        Average = hasAverage ? OptimizerPart.Zeros(PieceLength, isPinned: true) : [];
        Reset();
    }

    /// <summary>Elements of a piece; the last one is filled up with zeros.</summary>
    public int PieceLength { get; }

    /// <summary>First element of our piece.</summary>
    public int OwnStart { get; }

    public IReadOnlyList<Member> Members => _members;

    /// <summary>Of our piece, summed over ranks.</summary>
    public float[] Gradients { get; }

    public float[] FirstMoments { get; }

    public float[] SecondMoments { get; }

    /// <summary>Empty where there is none.</summary>
    public float[] Average { get; }

    /// <summary>Begins a step: no gradient is there yet.</summary>
    public void Reset() => _waiting = _members.Length;

    /// <summary>Takes note of a parameter whose gradient is there.</summary>
    /// <returns>Whether it was the last one.</returns>
    public bool Arrives() => --_waiting == 0;

    /// <summary>Whether all are there.</summary>
    public bool IsComplete => _waiting == 0;

    /// <summary>What of a member lies in our piece: its first element there, where that is in the piece, and how many.</summary>
    public (int Start, int InPiece, int Count) OwnPart(Member member)
    {
        var start = Math.Clamp(OwnStart - member.Offset, 0, member.Length);
        var end = Math.Clamp(OwnStart + PieceLength - member.Offset, 0, member.Length);
        return end == start ? (0, 0, 0) : (start, member.Offset + start - OwnStart, end - start);
    }

    /// <summary>Lays out the gradients, rounded to bf16 or not; zeros where there is none.</summary>
    public void PackGradients(nint to, int pieces, bool asBf16)
    {
        var size = asBf16 ? sizeof(ushort) : sizeof(float);
        foreach (var member in _members)
        {
            using var gradient = member.Parameter.grad;
            var room = new Span<byte>((byte*)to + ((nint)member.Offset * size), member.Length * size);
            if (gradient is null)
            {
                room.Clear();
            }
            else if (asBf16)
            {
                BFloat16.Narrow(MemoryMarshal.Cast<byte, float>(gradient.bytes), MemoryMarshal.Cast<byte, ushort>(room));
            }
            else
            {
                gradient.bytes.CopyTo(room);
            }
        }

        var used = _members[^1].Offset + _members[^1].Length;
        new Span<byte>((byte*)to + ((nint)used * size), ((pieces * PieceLength) - used) * size).Clear();
    }

    /// <summary>Lays out our piece of the weights.</summary>
    public void PackOwnWeights(nint to)
    {
        foreach (var member in _members)
        {
            var (start, inPiece, count) = OwnPart(member);
            new Span<float>((float*)member.Address + start, count).CopyTo(new Span<float>((float*)to + inPiece, count));
        }
    }

    /// <summary>Takes the weights of all pieces, and renews the bf16 copies.</summary>
    public void UnpackWeights(nint from)
    {
        foreach (var member in _members)
        {
            var values = new ReadOnlySpan<float>((float*)from + member.Offset, member.Length);
            values.CopyTo(new Span<float>((void*)member.Address, member.Length));
            if (member.CopyAddress != 0)
            {
                BFloat16.Narrow(values, new Span<ushort>((void*)member.CopyAddress, member.Length));
            }
        }
    }

    /// <summary>A parameter in its bucket. Its memory stays where it is.</summary>
    internal sealed class Member(string name, Parameter parameter, int offset, Tensor? copy)
    {
        public string Name => name;

        public Parameter Parameter => parameter;

        public int Offset => offset;

        public int Length { get; } = (int)parameter.NumberOfElements;

        public nint Address { get; } = AddressOf(parameter);

        /// <summary>0 where there is no copy.</summary>
        public nint CopyAddress { get; } = copy is null ? 0 : AddressOf(copy);

        private static nint AddressOf(Tensor tensor) => (nint)Unsafe.AsPointer(ref MemoryMarshal.GetReference(tensor.bytes));
    }
}
