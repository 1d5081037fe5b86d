namespace NextPatch.Core.Sampling;

/// <summary>What a <see cref="CounterRandom"/> is for. The numbers are part of the reproducibility contract: never renumber.</summary>
internal enum RandomStream
{
    /// <summary>Which code is drawn at a position of a generated image.</summary>
    Codes = 1,

    /// <summary>Order of the training data.</summary>
    DataOrder = 2,

    /// <summary>Which stored crop or flip of an image is used.</summary>
    Augmentation = 3,

    /// <summary>Which labels are replaced by the null class.</summary>
    LabelDropout = 4,

    /// <summary>Seeds of dropout, one per micro-batch.</summary>
    Dropout = 5,

    /// <summary>Initial weights.</summary>
    Initialization = 6,

    /// <summary>Drawn datasets.</summary>
    Drawing = 7,

    /// <summary>Tokenizer training: batches, dead-code revival.</summary>
    Tokenizer = 8,

    /// <summary>Feature networks of the evaluation.</summary>
    Evaluation = 9,

    /// <summary>Which classes are asked for when they are drawn at random.</summary>
    Labels = 10,

    /// <summary>Which images are kept from training when a dataset brings no test part.</summary>
    HeldOut = 11,

    /// <summary>Which codes are replaced by neighbours while a tokenizer is trained or judged.</summary>
    Perturbation = 12,

    /// <summary>Which of an image's captions is trained on.</summary>
    CaptionChoice = 13,
}
