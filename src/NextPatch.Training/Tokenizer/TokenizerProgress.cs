namespace NextPatch.Training.Tokenizer;

/// <summary>Where a tokenizer training stands, averaged over the steps since the last report.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="Steps">Steps in all.</param>
/// <param name="Loss">L1 + squared error + quantisation loss, on images in [-1, 1].</param>
/// <param name="Psnr">Peak signal to noise ratio of the batches' reconstructions, dB.</param>
/// <param name="UsedCodes">Codes chosen at least once; 0 while nothing is quantised yet.</param>
/// <param name="Perplexity">exp(entropy) of the chosen codes; 0 while nothing is quantised yet.</param>
/// <param name="Revived">Codes revived since the last report.</param>
public sealed record TokenizerProgress(int Step, int Steps, double Loss, double Psnr, int UsedCodes, double Perplexity, int Revived);
