using NextPatch.Kernels.Threading;

namespace NextPatch.Cpu.Tests.Kernels;

public sealed class ThreadTeamTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Every_part_runs_once_in_every_phase(int threads)
    {
        using var team = new ThreadTeam(threads);
        Assert.Equal(threads, team.Size);
        var counts = new int[37];
        for (var phase = 0; phase < 300; phase++)
        {
            var parts = phase % counts.Length;
            Array.Clear(counts);
            team.Run(parts, (part, thread) =>
            {
                Assert.InRange(thread, 0, threads - 1);
                Interlocked.Increment(ref counts[part]);
            });
            Assert.All(counts[..parts], c => Assert.Equal(1, c));
            Assert.Equal(parts, counts.Sum());
        }
    }

    [Fact]
    public void Threads_that_sleep_are_woken()
    {
        using var team = new ThreadTeam(3);
        var threads = new HashSet<int>();
        for (var phase = 0; phase < 3; phase++)
        {
            Thread.Sleep(20);
            using var met = new Barrier(3);
            team.Run(3, (_, thread) =>
            {
                met.SignalAndWait(); // nobody gets through alone
                lock (threads)
                {
                    threads.Add(thread);
                }
            });
        }

        Assert.Equal(3, threads.Count);
    }

    [Fact]
    public void The_caller_waits_for_the_slowest()
    {
        using var team = new ThreadTeam(2);
        var done = 0;
        team.Run(2, (_, thread) =>
        {
            Thread.Sleep(thread * 30);
            Interlocked.Increment(ref done);
        });
        Assert.Equal(2, done);
    }

    [Fact]
    public void What_a_part_throws_reaches_the_caller_and_the_team_goes_on()
    {
        using var team = new ThreadTeam(2);
        Assert.Throws<InvalidTimeZoneException>(() => team.Run(8, (part, _) => { if (part == 3) { throw new InvalidTimeZoneException(); } }));
        var done = 0;
        team.Run(8, (_, _) => Interlocked.Increment(ref done));
        Assert.Equal(8, done);
    }

    [Fact]
    public void Two_teams_do_not_disturb_each_other()
    {
        long Sum(int seed)
        {
            using var team = new ThreadTeam(3);
            var sums = new long[3];
            for (var phase = 0; phase < 300; phase++)
            {
                team.Run(7, (part, thread) => sums[thread] += part * seed);
            }

            return sums.Sum();
        }

        var sums = new long[2];
        var other = new Thread(() => sums[1] = Sum(5));
        other.Start();
        sums[0] = Sum(2);
        other.Join();
        Assert.Equal([300 * 21 * 2, 300 * 21 * 5], sums);
    }
}
