"""Offline training of an algorithm on a prepared dataset, several seeds at once."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.columns import keep_columns
from ssar_jax.data.scaling import ObservationScaling, PreparedData
from ssar_jax.envs.actions import ActionBounds
from ssar_jax.errors import UserError
from ssar_jax.training import layout as layouts
from ssar_jax.training import loop

Policy = Callable[[np.ndarray], np.ndarray]
"""A function from raw observations [..., O] to the environment's actions [..., A]."""


class OfflineTrainer:
    """The states of several seeds and the program that updates them.

    The result of a seed does not depend on the other seeds.

    Args:
        algorithm: the algorithm to train.
        data: the prepared dataset, N rows.
        seeds: S distinct seeds.
        trusted: the selected rows, [N] for all seeds or [S, N]; None trusts all.
        batch_size: minibatch size B.
        action_scaling: maps actions from [-1, 1] to the environment's range, for `policy`; None if the ranges are the
            same.
        layout: how the seeds are spread over devices; None chooses by backend.

    Attributes:
        step: number of updates so far.
        seeds: the seeds, in the order of every leading axis.

    Raises:
        UserError: if there are no or repeated seeds, `trusted` has the wrong shape, or the data lack a column that the
            algorithm needs.
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
        layout: layouts.Layout | None = None,
    ) -> None:
        if not seeds or len(set(seeds)) != len(seeds):
            raise UserError(f"seeds must be distinct and at least one, not {list(seeds)}")
        transitions = keep_columns(data.transitions, algorithm.columns)
        if trusted is None:
            trusted = np.ones(len(transitions.rewards), np.float32)
        if trusted.shape[-1] != len(transitions.rewards):
            raise UserError(f"the selection has {trusted.shape[-1]} rows, the dataset {len(transitions.rewards)}")
        if trusted.ndim > 1 and trusted.shape[:-1] != (len(seeds),):
            raise UserError(
                f"the selection has shape {trusted.shape}: give [N] for all seeds or [S, N] for {len(seeds)} seeds"
            )
        self.step = 0
        self.seeds = tuple(seeds)
        self._algorithm = algorithm
        self._scaling, self._action_scaling = data.observation_scaling, action_scaling
        self._layout = layout or layouts.choose_layout(len(seeds))
        sizes = transitions.observations.shape[1], transitions.actions.shape[1]
        self._states = loop.initial_states(algorithm, seeds, self._layout, *sizes)
        self._data = loop.place_data(transitions, trusted, seeds, self._layout)
        self._is_pretrained = algorithm.pretraining is None
        self._chunk = loop.make_chunk(algorithm, seeds, self._layout, batch_size=batch_size, phase="offline")

    def advance(self, num_updates: int) -> dict[str, np.ndarray]:
        """Performs a number of updates of every seed.

        Args:
            num_updates: number of updates.

        Returns:
            The mean of every metric over these updates, [S]; NaN if it did not occur.

        Raises:
            UserError: if the algorithm needs a model that has not been trained, such as SPOT's density model.
        """
        if not self._is_pretrained:
            require_pretrained(self._algorithm, self._states)
            self._is_pretrained = True
        stop = self.step + num_updates
        self._states, metrics = self._chunk(self._states, self._data, self.step, stop)
        self.step = stop
        return {name: value[: len(self.seeds)] for name, value in jax.device_get(metrics).items()}

    def states_on_devices(self) -> Any:
        """Returns the states on the devices, leaves [S or more, ...]; rows after the last seed are padding."""
        return self._states

    def states(self) -> Any:
        """Returns the states of all seeds, leaves [S, ...], on the host."""
        return jax.tree.map(lambda leaf: leaf[: len(self.seeds)], jax.device_get(self._states))

    def install_pretrained(self, params: Any) -> None:
        """Puts pretrained models into the states.

        Args:
            params: parameters of the models as `pretrain` returns them, leaves [S, ...].

        Raises:
            UserError: if the algorithm needs no pretrained model.
        """
        pretraining = self._algorithm.pretraining
        if pretraining is None:
            raise UserError("this algorithm needs no pretrained model: leave `install_pretrained` out")
        self.load(pretraining.install(self.states(), params), self.step)

    def load(self, states: Any, step: int) -> None:
        """Replaces the current states.

        Args:
            states: states as `states` returned them, leaves [S, ...] on the host.
            step: number of updates of these states.
        """
        self._states = layouts.place_states(states, self._layout)
        self.step = step

    def policies(self) -> Any:
        """Returns the policy parameters of all seeds, leaves [S, ...], on the devices."""
        return jax.tree.map(lambda leaf: leaf[: len(self.seeds)], self._algorithm.policy_params(self._states))

    def policy(self, seed: int) -> Policy:
        """Returns the deterministic policy of one seed.

        Args:
            seed: one of `seeds`.

        Returns:
            A function from raw observations [..., O] to the environment's actions [..., A], NumPy arrays.

        Raises:
            UserError: if the seed was not trained.
        """
        if seed not in self.seeds:
            raise UserError(f"seed {seed} was not trained: choose one of {list(self.seeds)}")
        index = self.seeds.index(seed)
        params = jax.tree.map(lambda leaf: leaf[index], self.policies())
        return make_policy(self._algorithm, params, self._scaling, self._action_scaling)

    def diagnose(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Computes the algorithm's diagnostics for rows of the dataset.

        Args:
            rows: row numbers, [R].

        Returns:
            The diagnostics by name, each [S, R].
        """
        observations = self._data.transitions.observations[rows]
        states = jax.tree.map(lambda leaf: leaf[: len(self.seeds)], self._states)
        values = [
            self._algorithm.diagnose(jax.tree.map(lambda leaf, s=s: leaf[s], states), observations)
            for s in range(len(self.seeds))
        ]
        return {name: np.stack([np.asarray(value[name]) for value in values]) for name in values[0]}


def require_pretrained(algorithm: Algorithm, states: Any) -> None:
    """Requires the states of an algorithm to contain the pretrained model that it needs.

    Args:
        algorithm: the algorithm.
        states: states of all seeds, leaves [S, ...].

    Raises:
        UserError: if the model is missing.
    """
    if algorithm.pretraining is None:
        return
    leaf = jax.tree.leaves(algorithm.pretraining.installed(states))[0]
    if np.isnan(np.asarray(leaf)).any():
        name = algorithm.pretraining.name
        raise UserError(
            f"the {name} model is missing: train it first, trainer.install_pretrained(pretrain(algorithm, data, "
            "dataset.content_hash, seeds=seeds))"
        )


def make_policy(
    algorithm: Algorithm,
    params: Any,
    scaling: ObservationScaling,
    action_scaling: ActionScaling | None = None,
    action_bounds: ActionBounds | None = None,
) -> Policy:
    """Builds a deterministic policy from its parameters.

    Args:
        algorithm: the algorithm, whose `act` is the policy.
        params: policy parameters of one seed.
        scaling: scaling of the observations.
        action_scaling: maps actions from [-1, 1] to the environment's range; None if the ranges are the same.
        action_bounds: the type and the bounds of the returned actions; None takes float32 and the range of the
            scaling.

    Returns:
        A function from raw observations [..., O] to the environment's actions [..., A], which raises `UserError` if
        the observations have another size.
    """
    act = jax.jit(lambda observations: algorithm.act(params, observations, None))
    bounds = action_bounds
    if bounds is None and action_scaling is not None:
        bounds = ActionBounds.from_range(action_scaling.low, action_scaling.high)

    def policy(observations: np.ndarray) -> np.ndarray:
        observations = np.asarray(observations)
        if observations.shape[-1:] != scaling.mean.shape:
            raise UserError(f"the policy takes observations [..., {scaling.mean.size}], not {observations.shape}")
        actions = np.asarray(act(np.asarray(scaling(observations), np.float32)))
        if action_scaling is not None:
            actions = action_scaling.from_unit(actions)
        return actions if bounds is None else bounds.fit(actions)

    return policy
