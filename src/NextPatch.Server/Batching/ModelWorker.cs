using System.Diagnostics;
using NextPatch.Core;
using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;
using NextPatch.Core.Sampling;
using NextPatch.Sampling;

namespace NextPatch.Server.Batching;

/// <summary>
/// The one thread that owns a model: images of any requests enter its batch and leave it between codes. The request with the fewest images in the
/// batch is next, the older one of equals, so that a large request does not hold small ones up.
/// </summary>
internal sealed partial class ModelWorker : IDisposable
{
    private const double Smoothing = 0.1;

    private readonly string _name;
    private readonly SampleModel _model;
    private readonly IImageTokenizer _tokenizer;
    private readonly PartialPainter _painter;
    private readonly IGenerationBatch _batch;
    private readonly ServerMeter _meter;
    private readonly Action<Exception> _onFailure;
    private readonly int _queueLimit;
    private readonly object _gate = new();
    private readonly List<DrawJob> _jobs = []; // that wait for their turn with some image; in order of arrival, under the gate
    private readonly List<(DrawJob Job, IImageInProgress Image, int Place)> _running = []; // of the thread alone
    private readonly Thread _thread;
    private bool _isEnding;
    private int _waiting;
    private int _rows;
    private double _secondsPerImage = 1;

    /// <param name="name">The model's.</param>
    /// <param name="model">Stays the caller's, who leaves it alone until the worker is disposed.</param>
    /// <param name="queueLimit">Images that may wait, at least 1.</param>
    /// <param name="meter">Counts.</param>
    /// <param name="onFailure">Told what was not the fault of a request, on the worker's thread.</param>
    /// <exception cref="NextPatchException">The model has no tokenizer, or its engine draws whole requests only.</exception>
    public ModelWorker(string name, SampleModel model, int queueLimit, ServerMeter meter, Action<Exception> onFailure)
    {
        (_name, _model, _queueLimit, _meter, _onFailure) = (name, model, queueLimit, meter, onFailure);
        _tokenizer = model.Tokenizer ?? throw new NextPatchException(
            $"The model '{name}' has no tokenizer to turn codes into images; name one with Tokenizer.")
        { Settings = ["Tokenizer"] };
        _batch = model.Engine is IBatchingEngine engine
            ? engine.Batch
            : throw new NextPatchException($"{model.Engine.Name} draws whole requests only; a server needs an engine whose images enter and leave.");
        _painter = new PartialPainter(_tokenizer);
        meter.Watch(name, () => Volatile.Read(ref _waiting), () => Volatile.Read(ref _rows));
        _thread = new Thread(Work) { IsBackground = true, Name = $"Model {name}" };
        _thread.Start();
    }

    /// <summary>Whether the first codes were drawn, so that requests meet compiled code.</summary>
    public bool IsWarm { get; private set => Volatile.Write(ref field, value); }

    /// <summary>Ends the thread after the code that is being drawn; requests that are left are cancelled.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _isEnding = true;
            Monitor.Pulse(_gate);
        }

        _thread.Join();
    }

    private void Work()
    {
        Guarded(WarmUp);
        IsWarm = true;
        while (AwaitWork())
        {
            Guarded(DropCancelled);
            while (Next() is { } job)
            {
                Admit(job);
            }

            if (_running.Count > 0)
            {
                Guarded(Step);
            }

            Volatile.Write(ref _rows, _batch.Rows);
        }

        FailAll(Stopping());
    }

    private static OperationCanceledException Stopping() => new("The server is stopping.");

    /// <summary>Draws a row of codes and decodes it.</summary>
    private void WarmUp()
    {
        var config = _model.Config.Model;
        var image = _batch.Enter(
            new GenerationRequest
            {
                Labels = [0], Sampling = new SamplingConfig { GuidanceScale = config.HasNullClass ? 2 : 1 },
                Prompts = config.Text is { } text ? [new PromptFeatures("", new float[text.FeatureWidth], text.FeatureWidth)] : null,
            }, 0);
        try
        {
            while (image.Position < config.GridSide && !image.IsFinished)
            {
                _batch.Step();
            }

            PartialDecoder.Decode(_tokenizer, image.Codes, CancellationToken.None);
        }
        finally
        {
            _batch.Leave(image);
        }
    }

    private void DropCancelled()
    {
        for (var i = _running.Count - 1; i >= 0; i--)
        {
            if (_running[i].Job.Cancellation.IsCancellationRequested)
            {
                _batch.Leave(_running[i].Image);
                _running[i].Job.Fail(new OperationCanceledException());
                _running.RemoveAt(i);
            }
        }

        lock (_gate)
        {
            foreach (var job in _jobs.FindAll(job => job.Cancellation.IsCancellationRequested))
            {
                Remove(job, new OperationCanceledException());
            }
        }
    }

    private void Admit(DrawJob job)
    {
        try
        {
            if (job.Picture is { } picture) // once, before the first image
            {
                var codes = KeptCodes.From(_tokenizer, picture, job.Mask, keptRows: null);
                job.Request = job.Request with { GivenCodes = [.. Enumerable.Repeat(codes, job.Count).SelectMany(all => all)] };
                job.Picture = null;
            }

            var place = job.Entered;
            _running.Add((job, _batch.Enter(job.Request, place), place));
        }
#pragma warning disable CA1031 // One request must not end the thread that serves all.
        catch (Exception e)
#pragma warning restore CA1031
        {
            lock (_gate)
            {
                Remove(job, e);
            }

            return;
        }

        lock (_gate)
        {
            job.Enter();
            _waiting--;
            if (job.Waiting == 0)
            {
                _jobs.Remove(job);
            }
        }
    }

    private void Step()
    {
        var began = Stopwatch.GetTimestamp();
        _batch.Step();
        _meter.Drew(_name, _running.Count);
        var finished = _running.FindAll(r => r.Image.IsFinished);
        _painter.Drew(Stopwatch.GetElapsedTime(began).TotalSeconds);
        foreach (var (job, image, place) in _running)
        {
            _painter.Show(job, image, place);
        }

        if (finished.Count > 0)
        {
            Show(finished);
        }

        // A step serves all that run; an image takes one per code.
        var seconds = Stopwatch.GetElapsedTime(began).TotalSeconds * _model.Config.Model.CodesPerImage / (_running.Count + finished.Count);
        Volatile.Write(ref _secondsPerImage, (_secondsPerImage * (1 - Smoothing)) + (seconds * Smoothing));
    }

    private void Show(List<(DrawJob Job, IImageInProgress Image, int Place)> finished)
    {
        var (side, rows) = (_tokenizer.Config.ImageSide, _model.Config.Model.GridSide);
        var pixels = _tokenizer.Decode(finished.SelectMany(f => f.Image.Codes.ToArray()).ToArray()); // [n, S, S, 3]
        for (var i = 0; i < finished.Count; i++)
        {
            var (job, image, place) = finished[i];
            _batch.Leave(image);
            _running.Remove(finished[i]);
            _meter.Finished(_name);
            if (job.Finish(place, rows, new RgbImage(side, side, pixels.AsSpan(i * side * side * 3, side * side * 3).ToArray())))
            {
                _meter.Done(_name, job);
            }
        }
    }

    private void Guarded(Action work)
    {
        try
        {
            work();
        }
#pragma warning disable CA1031 // The thread serves all; what a request did to it ends with that request.
        catch (Exception e)
#pragma warning restore CA1031
        {
            FailAll(e);
            _onFailure(e);
        }
    }

    private void FailAll(Exception reason)
    {
        foreach (var (job, image, _) in _running)
        {
            _batch.Leave(image);
            job.Fail(reason);
        }

        lock (_gate)
        {
            var jobs = _running.Select(r => r.Job).ToHashSet();
            _running.Clear();
            foreach (var job in _jobs.FindAll(job => jobs.Contains(job) || _isEnding))
            {
                Remove(job, reason);
            }
        }
    }
}
