using NextPatch.Torch.Perception;

namespace NextPatch.Evaluation.Networks;

/// <summary>Builds the stages of the FID Inception network from its weights.</summary>
internal static class InceptionStages
{
    private const double Epsilon = 0.001;

    private static readonly (int Height, int Width) Point = (1, 1);
    private static readonly (int Height, int Width) Square = (3, 3);
    private static readonly (int Height, int Width) Wide = (1, 7);
    private static readonly (int Height, int Width) High = (7, 1);

    /// <summary>Stages in order: a convolution, a block, or, where both are missing, a maximum over 3x3 with stride 2.</summary>
    /// <param name="weights">The file.</param>
    /// <param name="own">Receives every convolution, so that it is disposed.</param>
    /// <exception cref="Core.DataFormatException">These are not its weights.</exception>
    public static List<(string Name, FrozenConvolution? Convolution, InceptionBlock? Block)> Read(
        PretrainedWeights weights, Func<FrozenConvolution, FrozenConvolution> own)
    {
        var stages = new List<(string, FrozenConvolution?, InceptionBlock?)>();
        void Convolution(string name, int inputs, int outputs, (int, int) kernel, int stride = 1, int padding = 0)
            => stages.Add((name, own(Fold(weights, name, inputs, outputs, kernel).Freeze(stride, (padding, padding))), null));
        void Block(string name, Func<BlockReader, InceptionBlock> read, int inputs)
            => stages.Add((name, null, read(new BlockReader(weights, own, name, inputs))));
        Convolution("Conv2d_1a_3x3", 3, 32, Square, stride: 2);
        Convolution("Conv2d_2a_3x3", 32, 32, Square);
        Convolution("Conv2d_2b_3x3", 32, 64, Square, padding: 1);
        stages.Add(("MaxPool_1", null, null));
        Convolution("Conv2d_3b_1x1", 64, 80, Point);
        Convolution("Conv2d_4a_3x3", 80, 192, Square);
        stages.Add(("MaxPool_2", null, null));
        Block("Mixed_5b", b => SquareBlock(b, pooled: 32), 192);
        Block("Mixed_5c", b => SquareBlock(b, pooled: 64), 256);
        Block("Mixed_5d", b => SquareBlock(b, pooled: 64), 288);
        Block("Mixed_6a", FirstHalving, 288);
        Block("Mixed_6b", b => LongBlock(b, width: 128), 768);
        Block("Mixed_6c", b => LongBlock(b, width: 160), 768);
        Block("Mixed_6d", b => LongBlock(b, width: 160), 768);
        Block("Mixed_6e", b => LongBlock(b, width: 192), 768);
        Block("Mixed_7a", SecondHalving, 768);
        Block("Mixed_7b", b => ForkedBlock(b, InceptionPool.Average), 1280);
        Block("Mixed_7c", b => ForkedBlock(b, InceptionPool.Maximum), 2048);
        return stages;
    }

    private static FoldedConvolution Fold(PretrainedWeights weights, string name, int inputs, int outputs, (int, int) kernel)
        => FoldedConvolution.Read(weights, $"{name}.conv", $"{name}.bn", inputs, outputs, kernel, Epsilon);

    private static InceptionBlock SquareBlock(BlockReader b, int pooled) => new()
    {
        HeadWidths = [64, 48, 64],
        Heads = b.Heads(("branch1x1", 64), ("branch5x5_1", 48), ("branch3x3dbl_1", 64), ("branch_pool", pooled)),
        Branches =
        [
            new([], []),
            new([b.Layer("branch5x5_2", 48, 64, (5, 5))], []),
            new([b.Layer("branch3x3dbl_2", 64, 96, Square), b.Layer("branch3x3dbl_3", 96, 96, Square)], []),
        ],
        Pool = InceptionPool.Average,
    };

    private static InceptionBlock FirstHalving(BlockReader b) => new()
    {
        Headless = b.Halving("branch3x3", b.Inputs, 384),
        HeadWidths = [64],
        Heads = b.Heads(("branch3x3dbl_1", 64)),
        Branches = [new([b.Layer("branch3x3dbl_2", 64, 96, Square), b.Halving("branch3x3dbl_3", 96, 96)], [])],
        Pool = InceptionPool.Halving,
    };

    private static InceptionBlock LongBlock(BlockReader b, int width) => new()
    {
        HeadWidths = [192, width, width],
        Heads = b.Heads(("branch1x1", 192), ("branch7x7_1", width), ("branch7x7dbl_1", width), ("branch_pool", 192)),
        Branches =
        [
            new([], []),
            new([b.Layer("branch7x7_2", width, width, Wide), b.Layer("branch7x7_3", width, 192, High)], []),
            new(
                [
                    b.Layer("branch7x7dbl_2", width, width, High), b.Layer("branch7x7dbl_3", width, width, Wide),
                    b.Layer("branch7x7dbl_4", width, width, High), b.Layer("branch7x7dbl_5", width, 192, Wide),
                ],
                []),
        ],
        Pool = InceptionPool.Average,
    };

    private static InceptionBlock SecondHalving(BlockReader b) => new()
    {
        HeadWidths = [192, 192],
        Heads = b.Heads(("branch3x3_1", 192), ("branch7x7x3_1", 192)),
        Branches =
        [
            new([b.Halving("branch3x3_2", 192, 320)], []),
            new([b.Layer("branch7x7x3_2", 192, 192, Wide), b.Layer("branch7x7x3_3", 192, 192, High), b.Halving("branch7x7x3_4", 192, 192)], []),
        ],
        Pool = InceptionPool.Halving,
    };

    private static InceptionBlock ForkedBlock(BlockReader b, InceptionPool pool)
    {
        FrozenConvolution[] Fork(string name) => [b.Layer($"{name}a", 384, 384, (1, 3)), b.Layer($"{name}b", 384, 384, (3, 1))];
        (string, int)[] heads = [("branch1x1", 320), ("branch3x3_1", 384), ("branch3x3dbl_1", 448)];
        return new()
        {
            HeadWidths = [320, 384, 448],
            Heads = b.Heads(pool == InceptionPool.Average ? [.. heads, ("branch_pool", 192)] : heads),
            Branches = [new([], []), new([], Fork("branch3x3_2")), new([b.Layer("branch3x3dbl_2", 448, 384, Square)], Fork("branch3x3dbl_3"))],
            Pool = pool,
            PoolProjection = pool == InceptionPool.Maximum ? b.Layer("branch_pool", b.Inputs, 192, Point) : null,
        };
    }

    /// <summary>Reads the layers of one block.</summary>
    private sealed record BlockReader(PretrainedWeights Weights, Func<FrozenConvolution, FrozenConvolution> Own, string Block, int Inputs)
    {
        /// <summary>A layer that keeps the size.</summary>
        public FrozenConvolution Layer(string name, int inputs, int outputs, (int Height, int Width) kernel)
            => Own(Fold(Weights, $"{Block}.{name}", inputs, outputs, kernel).Freeze(padding: (kernel.Height / 2, kernel.Width / 2)));

        /// <summary>A 3x3 layer with stride 2 and no padding.</summary>
        public FrozenConvolution Halving(string name, int inputs, int outputs)
            => Own(Fold(Weights, $"{Block}.{name}", inputs, outputs, Square).Freeze(stride: 2));

        public FrozenConvolution Heads(params (string Name, int Outputs)[] layers)
            => Own(FoldedConvolution.Join([.. layers.Select(
                layer => Fold(Weights, $"{Block}.{layer.Name}", Inputs, layer.Outputs, Point))]).Freeze());
    }
}
