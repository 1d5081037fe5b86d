using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;
using NextPatch.Server.Batching;

namespace NextPatch.Server.Tests.Batching;

public sealed class DrawJobTests
{
    [Fact]
    public async Task A_slow_reader_finds_few_partial_pictures_and_the_image()
    {
        var job = new DrawJob { Request = new GenerationRequest { Labels = [0] }, ShowsEveryRow = true };
        var picture = new RgbImage(1, 1, new byte[3]);
        job.Enter();
        for (var row = 1; row <= 20; row++)
        {
            if (job.WantsPartial(row, hasTime: true))
            {
                job.ShowPartial(0, row, picture);
            }
        }

        await using var reader = job.ReadAsync(CancellationToken.None).GetAsyncEnumerator();
        Assert.True(await reader.MoveNextAsync());
        Assert.Equal(1, reader.Current.Rows);
        Assert.True(job.WantsPartial(21, hasTime: true)); // there is room again
        Assert.True(job.Finish(0, 22, picture));
        var left = new List<(int, bool)>();
        while (await reader.MoveNextAsync())
        {
            left.Add((reader.Current.Rows, reader.Current.IsFinished));
        }

        Assert.Equal([(2, false), (3, false), (4, false), (22, true)], left);
    }
}
