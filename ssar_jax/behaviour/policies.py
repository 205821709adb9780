"""Behavior policies: SAC actors that are stored in float16 and run in NumPy."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import IO, Any

import numpy as np

from ssar_jax.errors import UserError


@dataclass(frozen=True)
class GaussianPolicy:
    """A tanh-Gaussian multilayer perceptron, the same function as `ssar_jax.networks.actors.TanhGaussianActor`.

    Attributes:
        layers: (kernel [I, H], bias [H]) of every dense layer, float32.
        log_std_multiplier: Factor of the network's log standard deviation.
        log_std_offset: Term added to the product.
    """

    layers: Sequence[tuple[np.ndarray, np.ndarray]]
    log_std_multiplier: float
    log_std_offset: float

    @classmethod
    def from_params(cls, params: Any) -> "GaussianPolicy":
        """Return the policy with the parameters of a `TanhGaussianActor`.

        Args:
            params: Parameters of one actor, without a seed axis.
        """
        layers = [params[f"layer{i}"] for i in range(sum(name.startswith("layer") for name in params))]
        return cls(
            [(np.asarray(layer["kernel"], np.float32), np.asarray(layer["bias"], np.float32)) for layer in layers],
            float(params["log_std_multiplier"]),
            float(params["log_std_offset"]),
        )

    def sample(self, observations: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Sample actions.

        Args:
            observations: [N, O].
            rng: Generator of the noise.

        Returns:
            Actions in (-1, 1), [N, A] float32.
        """
        mean, raw = self._outputs(observations)
        log_std = np.clip(self.log_std_multiplier * raw + self.log_std_offset, -20.0, 2.0)
        noise = rng.standard_normal(mean.shape, dtype=np.float32)
        return np.tanh(mean + np.exp(log_std) * noise)

    def most_likely(self, observations: np.ndarray) -> np.ndarray:
        """Return the actions without noise, tanh of the Gaussian's mean.

        Args:
            observations: [N, O].

        Returns:
            Actions in (-1, 1), [N, A] float32.
        """
        return np.tanh(self._outputs(observations)[0])

    def _outputs(self, observations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and the network's log standard deviation, both [N, A]."""
        x = np.asarray(observations, np.float32)
        for kernel, bias in self.layers[:-1]:
            x = np.maximum(x @ kernel + bias, 0.0)
        kernel, bias = self.layers[-1]
        mean, raw = np.split(x @ kernel + bias, 2, axis=-1)
        return mean, raw


def save(path: Path, policies: Sequence[GaussianPolicy], description: dict[str, Any]) -> None:
    """Write policies of one environment in float16.

    Args:
        path: Name of the `.npz` file.
        policies: The policies.
        description: JSON entries on their training, such as seed and steps.
    """
    arrays: dict[str, Any] = {"description": json.dumps(description, sort_keys=True)}
    for p, policy in enumerate(policies):
        arrays[f"policy{p}/log_std"] = np.asarray([policy.log_std_multiplier, policy.log_std_offset], np.float32)
        for i, (kernel, bias) in enumerate(policy.layers):
            arrays[f"policy{p}/kernel{i}"] = kernel.astype(np.float16)
            arrays[f"policy{p}/bias{i}"] = bias.astype(np.float16)
    np.savez_compressed(path, **arrays)


def load(name: str) -> list[GaussianPolicy]:
    """Read policies that ship with the library.

    Args:
        name: File name without its extension, such as `hopper-medium`.

    Returns:
        The policies of the file.

    Raises:
        UserError: There is no such file.
    """
    folder = resources.files("ssar_jax.behaviour") / "trained"
    file = folder / f"{name}.npz"
    if not file.is_file():
        known = sorted(entry.name[:-4] for entry in folder.iterdir() if entry.name.endswith(".npz"))
        raise UserError(f"no behavior policy {name!r} ships with this version; available: {', '.join(known) or 'none'}")
    with file.open("rb") as stream:
        return read(stream)


def read(stream: IO[bytes] | Path) -> list[GaussianPolicy]:
    """Read policies that `save` wrote.

    Args:
        stream: The `.npz` file.

    Returns:
        The policies of the file.
    """
    with np.load(stream, allow_pickle=False) as arrays:
        return [_read(arrays, p) for p in range(sum(key.endswith("/log_std") for key in arrays.files))]


def _read(arrays: Any, index: int) -> GaussianPolicy:
    depth = sum(key.startswith(f"policy{index}/kernel") for key in arrays.files)
    layers = [
        tuple(arrays[f"policy{index}/{part}{i}"].astype(np.float32) for part in ("kernel", "bias"))
        for i in range(depth)
    ]
    multiplier, offset = arrays[f"policy{index}/log_std"]
    return GaussianPolicy(layers, float(multiplier), float(offset))
