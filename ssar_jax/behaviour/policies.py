"""Behaviour policies: SAC actors stored as float16 and played in NumPy."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from ssar_jax.errors import UserError


@dataclass(frozen=True)
class GaussianPolicy:
    """A tanh-Gaussian multilayer perceptron, as `ssar_jax.networks.actors.TanhGaussianActor` computes it.

    Attributes:
        layers: (kernel [I, H], bias [H]) of every linear map, float32.
        log_std_multiplier: scalar on the raw log-std.
        log_std_offset: scalar added to it.
    """

    layers: Sequence[tuple[np.ndarray, np.ndarray]]
    log_std_multiplier: float
    log_std_offset: float

    @classmethod
    def from_params(cls, params: Any) -> "GaussianPolicy":
        """Takes the parameters of a `TanhGaussianActor`."""
        layers = [params[f"layer{i}"] for i in range(sum(name.startswith("layer") for name in params))]
        return cls(
            [(np.asarray(layer["kernel"], np.float32), np.asarray(layer["bias"], np.float32)) for layer in layers],
            float(params["log_std_multiplier"]),
            float(params["log_std_offset"]),
        )

    def sample(self, observations: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draws actions [N, A] for observations [N, O]."""
        x = np.asarray(observations, np.float32)
        for kernel, bias in self.layers[:-1]:
            x = np.maximum(x @ kernel + bias, 0.0)
        kernel, bias = self.layers[-1]
        mean, raw = np.split(x @ kernel + bias, 2, axis=-1)
        log_std = np.clip(self.log_std_multiplier * raw + self.log_std_offset, -20.0, 2.0)
        noise = rng.standard_normal(mean.shape, dtype=np.float32)
        return np.tanh(mean + np.exp(log_std) * noise)


def save(path: Path, policies: Sequence[GaussianPolicy], description: dict[str, Any]) -> None:
    """Writes policies of one environment as float16, with a description of how they were trained."""
    arrays: dict[str, Any] = {"description": json.dumps(description, sort_keys=True)}
    for p, policy in enumerate(policies):
        arrays[f"policy{p}/log_std"] = np.asarray([policy.log_std_multiplier, policy.log_std_offset], np.float32)
        for i, (kernel, bias) in enumerate(policy.layers):
            arrays[f"policy{p}/kernel{i}"] = kernel.astype(np.float16)
            arrays[f"policy{p}/bias{i}"] = bias.astype(np.float16)
    np.savez_compressed(path, **arrays)


def load(name: str) -> list[GaussianPolicy]:
    """Reads the policies that ship with the library.

    Args:
        name: file name without ending, such as `hopper-medium`.

    Raises:
        UserError: where no such file ships.
    """
    folder = resources.files("ssar_jax.behaviour") / "trained"
    file = folder / f"{name}.npz"
    if not file.is_file():
        known = sorted(entry.name[:-4] for entry in folder.iterdir() if entry.name.endswith(".npz"))
        raise UserError(f"no behaviour policy {name!r} ships with this version: it has {', '.join(known) or 'none'}")
    with file.open("rb") as stream, np.load(stream) as arrays:
        return [_read(arrays, p) for p in range(sum(key.endswith("/log_std") for key in arrays.files))]


def _read(arrays: Any, index: int) -> GaussianPolicy:
    depth = sum(key.startswith(f"policy{index}/kernel") for key in arrays.files)
    layers = [
        tuple(arrays[f"policy{index}/{part}{i}"].astype(np.float32) for part in ("kernel", "bias"))
        for i in range(depth)
    ]
    multiplier, offset = arrays[f"policy{index}/log_std"]
    return GaussianPolicy(layers, float(multiplier), float(offset))
