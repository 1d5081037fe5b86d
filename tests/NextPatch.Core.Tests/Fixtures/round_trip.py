"""Reads what NextPatch wrote in PyTorch and NumPy, and saves it again in their own formats.

usage: python3 round_trip.py torch WEIGHTS.pt TRAINING.pt ZIP_OUTPUT.pt LEGACY_OUTPUT.pt
       python3 round_trip.py numpy INPUT.npz STORED.npz DEFLATED.npz FORTRAN.npz BIG_ENDIAN.npz
"""
import sys


def torch_round_trip(weights, training, as_zip, as_legacy):
    import torch

    content = torch.load(training)
    safe = torch.load(weights, weights_only=True)  # of PyTorch 1.13 knows no floating-point numbers
    assert list(content["model"]) == list(safe["model"])
    for name, tensor in content["model"].items():
        other = safe["model"][name]
        assert tensor.dtype == other.dtype and tensor.shape == other.shape and tensor.stride() == other.stride(), name
        assert bytes(tensor.storage().untyped()) == bytes(other.storage().untyped()), name
    assert content["tied"][0].data_ptr() == content["tied"][1].data_ptr()
    torch.save(content, as_zip)
    torch.save(content, as_legacy, _use_new_zipfile_serialization=False)


def numpy_round_trip(source, stored, deflated, fortran, big_endian):
    import numpy as np

    with np.load(source, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    np.savez(stored, **arrays)
    np.savez_compressed(deflated, **arrays)
    np.savez(fortran, **{name: np.asfortranarray(array) if array.ndim else array for name, array in arrays.items()})
    np.savez(big_endian, **{name: array.astype(array.dtype.newbyteorder(">")) for name, array in arrays.items()})


{"torch": torch_round_trip, "numpy": numpy_round_trip}[sys.argv[1]](*sys.argv[2:])
