"""The metrics of `evaluate` of bench/NextPatch.Benchmarks written plainly in NumPy and SciPy, as the published evaluators do, for comparison.

Debian: apt install python3-numpy python3-scipy libopenblas0-pthread

usage: python3 bench/evaluate_numpy.py [--images 50000] [--samples 10000] [--features 2048] [--only fid,is,kid,pr] [--baseline bench.json]
Prints JSON: per metric the seconds and the value, and peak memory. Features and weights are those of that command, to the bit, so that
values can be compared (KID up to its random subsets). With --baseline, the output of its --json for the same sizes, also the
ratio of the seconds and the difference of the values. Without libopenblas NumPy multiplies on one thread and without vectors.
"""
import argparse
import json
import resource
import sys
import time

import numpy as np
import scipy.linalg

CLASSES, SUBSETS, SUBSET, BATCH, NEIGHBOURS, STREAM = 1008, 100, 1000, 10000, 3, 9

# names in `evaluate --json`: seconds, then values
OURS = {
    "fid": (["fid.statistics", "fid.distance"], ["fid.value"]),
    "is": (["inceptionScore"], ["inceptionScore.value"]),
    "kid": (["kid"], ["kid.value"]),
    "pr": (["precisionRecall"], ["precision.value", "recall.value"]),
}


def uniform(seed, first, count, width):
    """NextPatch's CounterRandom (Philox 4x32-10), stream Evaluation: one number in [0, 1) per (row, column)."""
    low = np.uint64(0xFFFFFFFF)
    c = [np.arange(width, dtype=np.uint64)[None, :], np.arange(first, first + count, dtype=np.uint64)[:, None], np.uint64(0), np.uint64(STREAM)]
    key0, key1 = seed, 0
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(b >> np.uint64(32)) ^ c[1] ^ np.uint64(key0), b & low, (a >> np.uint64(32)) ^ c[3] ^ np.uint64(key1), a & low]
        key0, key1 = (key0 + 0x9E3779B9) & 0xFFFFFFFF, (key1 + 0xBB67AE85) & 0xFFFFFFFF
    bits = (c[1] << np.uint64(32)) | c[0]
    return ((bits >> np.uint64(11)) * 2.0**-53).astype(np.float32)


def draw(seed, count, width, scale):
    rows = np.empty((count, width), np.float32)
    for i in range(0, count, 1000):
        n = min(1000, count - i)
        rows[i : i + n] = np.float32(scale) * uniform(seed, i, n, width) / (1 + np.arange(width) % 16).astype(np.float32)
    return rows


def statistics(rows):
    return np.mean(rows, axis=0), np.cov(rows, rowvar=False)


def frechet(a, b):
    (mu1, sigma1), (mu2, sigma2) = a, b
    root = scipy.linalg.sqrtm(sigma1.dot(sigma2), disp=False)[0].real
    return float(np.sum((mu1 - mu2) ** 2) + np.trace(sigma1) + np.trace(sigma2) - 2 * np.trace(root))


def inception_score(rows, weights):
    scores = []
    for i in range(0, len(rows), 5000):
        logits = rows[i : i + 5000] @ weights
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        scores.append(np.exp(np.mean(np.sum(p * (np.log(p) - np.log(p.mean(0, keepdims=True))), 1))))
    return float(np.mean(scores))


def kernel_distance(x, y):
    random, values, size = np.random.default_rng(0), [], min(SUBSET, len(x))
    for _ in range(SUBSETS):
        a = x[random.choice(len(x), size, replace=False)].astype(np.float64)
        b = y[random.choice(len(y), size, replace=False)].astype(np.float64)
        aa, bb, ab = ((u @ v.T / a.shape[1] + 1) ** 3 for u, v in ((a, a), (b, b), (a, b)))
        pairs = size * (size - 1)
        values.append((aa.sum() - np.trace(aa) + bb.sum() - np.trace(bb)) / pairs - 2 * ab.mean())
    return float(np.mean(values))


def distances(a, b):
    return np.maximum((a * a).sum(1)[:, None] - 2 * a @ b.T + (b * b).sum(1)[None, :], 0)


def radii(rows):
    result = np.empty(len(rows), np.float32)
    for i in range(0, len(rows), BATCH):
        # a few thousand columns at a time, as the evaluator does: the whole would be 10 GB
        near = [
            np.partition(distances(rows[i : i + BATCH], rows[j : j + BATCH]), NEIGHBOURS, axis=1)[:, : NEIGHBOURS + 1]
            for j in range(0, len(rows), BATCH)]
        result[i : i + BATCH] = np.partition(np.concatenate(near, 1), NEIGHBOURS, axis=1)[:, NEIGHBOURS]
    return result


def precision_recall(reference, samples):
    reference_radii, sample_radii = radii(reference), radii(samples)
    good, reached = np.zeros(len(samples), bool), np.zeros(len(reference), bool)
    for i in range(0, len(samples), BATCH):
        for j in range(0, len(reference), BATCH):
            d = distances(samples[i : i + BATCH], reference[j : j + BATCH])
            good[i : i + BATCH] |= (d <= reference_radii[None, j : j + BATCH]).any(1)
            reached[j : j + BATCH] |= (d <= sample_radii[i : i + BATCH, None]).any(0)
    return float(good.mean()), float(reached.mean())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=50000)
    parser.add_argument("--samples", type=int, default=10000)
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--only", default="fid,is,kid,pr")
    parser.add_argument("--baseline")
    args = parser.parse_args()
    reference, samples = draw(0, args.images, args.features, 1.0), draw(1, args.images, args.features, 1.05)
    weights = (np.float32(16 / args.features**0.5) * (uniform(2, 0, CLASSES, args.features) - np.float32(0.5))).T
    runs = {
        "fid": lambda: frechet(statistics(reference), statistics(samples)),
        "is": lambda: inception_score(samples, weights),
        "kid": lambda: kernel_distance(reference, samples),
        "pr": lambda: precision_recall(reference, samples[: args.samples]),
    }
    baseline = {f["name"]: f["value"] for f in json.load(open(args.baseline))} if args.baseline else {}
    results = {}
    for name in args.only.split(","):
        print(name, file=sys.stderr)
        started = time.perf_counter()
        value = runs[name]()
        results[name] = result = {"seconds": time.perf_counter() - started, "value": value}
        theirs, names = OURS[name]
        if baseline:
            result["secondsRatio"] = result["seconds"] / sum(baseline[n] for n in theirs)
            result["valueDifference"] = [v - baseline[n] for v, n in zip(np.atleast_1d(value).tolist(), names)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    print(json.dumps({"metrics": results, "peakBytes": peak, "numpy": np.__version__, "scipy": scipy.__version__}))


main()
