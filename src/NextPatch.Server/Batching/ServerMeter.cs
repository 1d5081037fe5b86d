using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace NextPatch.Server.Batching;

/// <summary>The server's figures, for whatever listens to meters; <c>/metrics</c> does.</summary>
internal sealed class ServerMeter : IDisposable
{
    public const string Name = "NextPatch.Server";

    private static readonly double[] Seconds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

    private readonly Meter _meter = new(Name);
    private readonly Counter<long> _codes;
    private readonly Counter<long> _images;
    private readonly Counter<long> _errors;
    private readonly Histogram<double> _queued;
    private readonly Histogram<double> _worked;

    public ServerMeter()
    {
        var buckets = new InstrumentAdvice<double> { HistogramBucketBoundaries = Seconds };
        _codes = _meter.CreateCounter<long>("nextpatch.codes", "{code}", "Codes drawn.");
        _images = _meter.CreateCounter<long>("nextpatch.images", "{image}", "Images drawn.");
        _errors = _meter.CreateCounter<long>("nextpatch.errors", "{error}", "Requests that were refused or failed, by kind.");
        _queued = _meter.CreateHistogram("nextpatch.queue.duration", "s", "Seconds from a request's arrival to its first code.", tags: null, buckets);
        _worked = _meter.CreateHistogram(
            "nextpatch.work.duration", "s", "Seconds from a request's first code to its last image.", tags: null, buckets);
    }

    /// <summary>Two gauges of a model: images that wait, and rows of a pass.</summary>
    public void Watch(string model, Func<int> waiting, Func<int> rows)
    {
        _meter.CreateObservableGauge(
            "nextpatch.queue.images", () => new Measurement<int>(waiting(), Tag(model)), "{image}", "Images that wait for their turn.");
        _meter.CreateObservableGauge(
            "nextpatch.rows", () => new Measurement<int>(rows(), Tag(model)), "{row}", "Rows in flight: one per image, two where it is guided.");
    }

    public void Drew(string model, int codes) => _codes.Add(codes, Tag(model));

    public void Finished(string model) => _images.Add(1, Tag(model));

    /// <summary>A request is done.</summary>
    public void Done(string model, DrawJob job)
    {
        _queued.Record(Stopwatch.GetElapsedTime(job.Arrived, job.Began).TotalSeconds, Tag(model));
        _worked.Record(Stopwatch.GetElapsedTime(job.Began).TotalSeconds, Tag(model));
    }

    /// <param name="kind">The error's code, one of a few.</param>
    public void Failed(string kind) => _errors.Add(1, new KeyValuePair<string, object?>("kind", kind));

    public void Dispose() => _meter.Dispose();

    private static KeyValuePair<string, object?> Tag(string model) => new("model", model);
}
