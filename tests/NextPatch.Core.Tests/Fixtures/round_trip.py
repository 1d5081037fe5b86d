"""Reads a checkpoint in PyTorch, with and without weights_only, and saves it again in both formats.

usage: python3 round_trip.py INPUT ZIP_OUTPUT LEGACY_OUTPUT
"""
import sys

import torch

source, as_zip, as_legacy = sys.argv[1:]
content = torch.load(source)
safe = torch.load(source, weights_only=True)
assert list(content) == ["model"] == list(safe)
assert list(content["model"]) == list(safe["model"])
for name, tensor in content["model"].items():
    other = safe["model"][name]
    assert tensor.dtype == other.dtype and tensor.shape == other.shape and tensor.stride() == other.stride(), name
    assert bytes(tensor.storage().untyped()) == bytes(other.storage().untyped()), name
torch.save(content, as_zip)
torch.save(content, as_legacy, _use_new_zipfile_serialization=False)
