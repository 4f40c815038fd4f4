"""Weights of any network in one file: named arrays and a JSON header (safetensors). Reading runs no code.

The header holds the network's kind, the layout of its arrays and the package's version. A file is read into a
network of the same layout, whose fixed parts (sizes, functions) it does not hold; it is either the old file
or the whole new one, even if writing is interrupted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import safetensors
from safetensors import numpy as safe

from neuromanifold._base import FileError, atomic
from neuromanifold._version import __version__

Network = TypeVar("Network")


class WeightsError(FileError):
    """A file of weights that is damaged, or of another network."""


def _arrays(network: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_flatten_with_path(eqx.filter(network, eqx.is_array))[0]
    return {jax.tree_util.keystr(path).lstrip("."): leaf for path, leaf in leaves}


def save_weights(network: Any, path: Path | str) -> None:
    """Write all arrays of a network, atomically.

    Args:
        network: any pytree; `equinox.Module`s are.
        path: of the file.

    Raises:
        FileError: the folder cannot be written, or the disk is full.

    >>> import tempfile, jax
    >>> from pathlib import Path
    >>> from neuromanifold.networks import load_weights, save_weights
    >>> from neuromanifold.networks.energy import Bernoulli, RestrictedBoltzmann
    >>> layers = Bernoulli(6), Bernoulli(3)
    >>> one, other = (RestrictedBoltzmann.random(jax.random.key(i), *layers) for i in (0, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_weights(one, Path(folder) / "machine.safetensors")
    ...     again = load_weights(other, Path(folder) / "machine.safetensors")
    >>> bool((again.couplings == one.couplings).all())
    True
    """
    arrays = {name: np.asarray(leaf, order="C") for name, leaf in _arrays(network).items()}
    header = {"kind": type(network).__qualname__, "version": __version__, "layout": _layout(arrays)}
    content = safe.save(arrays, metadata={"network": json.dumps(header)})
    with atomic(Path(path)) as temporary:
        temporary.write_bytes(content)


def load_weights(network: Network, path: Path | str) -> Network:
    """A network with the arrays of a file in place of its own.

    Args:
        network: of the layout that was written; its values do not matter.
        path: of the file.

    Raises:
        WeightsError: there is no such file, it is damaged, or it holds another network; the message says how
            they differ.
    """
    try:
        with safetensors.safe_open(Path(path), framework="numpy") as stored:  # pyright: ignore[reportPrivateImportUsage]
            header = json.loads(stored.metadata()["network"])
            arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise WeightsError(f"there are no weights at {path}.") from None
    except (OSError, ValueError, TypeError, KeyError, safetensors.SafetensorError) as error:
        raise WeightsError(f"the weights {path} are damaged or no such file: {error}.") from error
    kind = type(network).__qualname__
    if header.get("kind") != kind:
        raise WeightsError(f"the weights {path} are of a {header.get('kind')}, not of a {kind}.")
    own = _arrays(network)
    here, there = _layout(own), _layout(arrays)
    for name in sorted(here.keys() | there.keys()):
        if here.get(name) != there.get(name):
            raise WeightsError(
                f"the weights {path} are of another network: {name} is {there.get(name)} there and "
                f"{here.get(name)} here."
            )
    moving, fixed = eqx.partition(network, eqx.is_array)
    paths, structure = jax.tree_util.tree_flatten_with_path(moving)
    loaded = [
        jnp.asarray(arrays[jax.tree_util.keystr(place).lstrip(".")])
        if isinstance(leaf, jax.Array)
        else arrays[jax.tree_util.keystr(place).lstrip(".")]
        for place, leaf in paths
    ]
    return eqx.combine(jax.tree_util.tree_unflatten(structure, loaded), fixed)


def _layout(arrays: Any) -> dict[str, str]:
    return {name: f"{np.dtype(leaf.dtype).name}{list(leaf.shape)}" for name, leaf in arrays.items()}
