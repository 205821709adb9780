"""Trains an algorithm on a prepared dataset, several seeds at once; no files, no environments."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.scaling import ObservationScaling, PreparedData
from ssar_jax.errors import UserError
from ssar_jax.training import loop

Policy = Callable[[np.ndarray], np.ndarray]
"""Raw observations [..., O] to the environment's actions [..., A]."""


class OfflineTrainer:
    """The states of several seeds and the program that updates them.

    A seed's result does not depend on the seeds trained beside it.

    Args:
        algorithm: what to train.
        data: the prepared dataset.
        seeds: S distinct seeds.
        trusted: the selected rows, [N] for all seeds or [S, N]; None trusts all.
        batch_size: B.
        action_scaling: maps actions from [-1, 1] to the environment's range, for `policy`; None leaves them.
        layout: where the seeds live; None chooses by backend.

    Attributes:
        step: number of updates so far.
        seeds: the seeds, in the order of every leading axis.

    Raises:
        UserError: for no or repeated seeds, or a selection of the wrong length.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        data: PreparedData,
        *,
        seeds: Sequence[int] = (0,),
        trusted: np.ndarray | None = None,
        batch_size: int = 256,
        action_scaling: ActionScaling | None = None,
        layout: loop.Layout | None = None,
    ) -> None:
        if not seeds or len(set(seeds)) != len(seeds):
            raise UserError(f"seeds must be distinct and at least one, not {list(seeds)}")
        transitions = data.transitions
        if trusted is None:
            trusted = np.ones(len(transitions.rewards), np.float32)
        if trusted.shape[-1] != len(transitions.rewards):
            raise UserError(f"the selection has {trusted.shape[-1]} rows, the dataset {len(transitions.rewards)}")
        if trusted.ndim > 1 and trusted.shape[:-1] != (len(seeds),):
            raise UserError(f"the selection has shape {trusted.shape}; one for all seeds or {len(seeds)} are needed")
        self.step = 0
        self.seeds = tuple(seeds)
        self._algorithm = algorithm
        self._scaling, self._action_scaling = data.observation_scaling, action_scaling
        self._layout = layout or loop.choose_layout(len(seeds))
        sizes = transitions.observations.shape[1], transitions.actions.shape[1]
        self._states = loop.initial_states(algorithm, seeds, self._layout, *sizes)
        self._data = loop.place_data(transitions, trusted, seeds, self._layout)
        self._chunk = loop.make_chunk(algorithm, seeds, self._layout, batch_size=batch_size, phase="offline")

    def advance(self, num_updates: int) -> dict[str, np.ndarray]:
        """Takes every seed through a number of updates.

        Returns:
            The mean of every metric over these updates, [S]; NaN where it did not occur.
        """
        stop = self.step + num_updates
        self._states, metrics = self._chunk(self._states, self._data, self.step, stop)
        self.step = stop
        return {name: value[: len(self.seeds)] for name, value in jax.device_get(metrics).items()}

    def states_on_devices(self) -> Any:
        """The states of all seeds, and of those that only fill the devices, leaves [S or more, ...]."""
        return self._states

    def states(self) -> Any:
        """The states of all seeds, leaves [S, ...], on the host."""
        return jax.tree.map(lambda leaf: leaf[: len(self.seeds)], jax.device_get(self._states))

    def load(self, states: Any, step: int) -> None:
        """Continues from states as `states` gave them."""
        self._states = loop.place_states(states, self._layout)
        self.step = step

    def policies(self) -> Any:
        """The policy parameters of all seeds, leaves [S, ...]."""
        return jax.tree.map(lambda leaf: leaf[: len(self.seeds)], self._algorithm.policy(self._states))

    def policy(self, seed: int) -> Policy:
        """The deterministic policy of one seed, a function on NumPy arrays.

        Raises:
            UserError: for a seed that was not trained.
        """
        if seed not in self.seeds:
            raise UserError(f"seed {seed} was not trained: choose one of {list(self.seeds)}")
        index = self.seeds.index(seed)
        params = jax.tree.map(lambda leaf: leaf[index], self.policies())
        return make_policy(self._algorithm, params, self._scaling, self._action_scaling)

    def diagnose(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """What the algorithm has to say about dataset rows, each [S, len(rows)]."""
        observations = self._data.observations[rows]
        states = jax.tree.map(lambda leaf: leaf[: len(self.seeds)], self._states)
        values = [
            self._algorithm.diagnose(jax.tree.map(lambda leaf, s=s: leaf[s], states), observations)
            for s in range(len(self.seeds))
        ]
        return {name: np.stack([np.asarray(value[name]) for value in values]) for name in values[0]}


def make_policy(
    algorithm: Algorithm,
    params: Any,
    scaling: ObservationScaling,
    action_scaling: ActionScaling | None = None,
) -> Policy:
    """Wraps policy parameters as a function from raw observations to actions; it refuses those of another size."""
    act = jax.jit(lambda observations: algorithm.act(params, observations, None))

    def policy(observations: np.ndarray) -> np.ndarray:
        observations = np.asarray(observations)
        if observations.shape[-1:] != scaling.mean.shape:
            raise UserError(f"the policy takes observations [..., {scaling.mean.size}], not {observations.shape}")
        actions = np.asarray(act(np.asarray(scaling(observations), np.float32)))
        return actions if action_scaling is None else action_scaling.from_unit(actions)

    return policy
