namespace NextPatch.Evaluation.Networks;

/// <summary>What a feature network says of a batch of N images, row by row.</summary>
/// <param name="Count">N.</param>
/// <param name="Pooled">float [N, D], D = <see cref="IFeatureNetwork.FeatureCount"/>.</param>
/// <param name="Spatial">float [N, S], S = <see cref="IFeatureNetwork.SpatialCount"/>; empty where the network has none.</param>
/// <param name="Logits">float [N, C], C = <see cref="IFeatureNetwork.ClassCount"/>; empty where the network has none.</param>
public sealed record ImageFeatures(int Count, float[] Pooled, float[] Spatial, float[] Logits);
