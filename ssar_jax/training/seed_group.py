"""A group of seeds that fine-tune in lockstep, with one device call per environment step."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.scaling import PreparedData
from ssar_jax.envs.lockstep import LockstepEnvs
from ssar_jax.training import layout as layouts
from ssar_jax.training.online_loop import OnlineProgram, join_outcome
from ssar_jax.training.replay_buffer import Ring
from ssar_jax.training.running_episodes import RunningEpisodes
from ssar_jax.transitions import EpisodeColumn, Transitions
from ssar_jax.types import Array, Average


class Memory(NamedTuple):
    """The arrays needed to resume a group of seeds, in addition to their states.

    Attributes:
        rows: the online transitions so far, leaves [S, steps, ...].
        trusted: the trust flags of all slots, [S, C].
        observations: the current observations, scaled, [S, O].
        actions: the actions for these observations, [S, A].
        sums: sums of the metrics since they were last fetched, leaves [S, M].
    """

    rows: Transitions
    trusted: Any
    observations: Any
    actions: Any
    sums: Any


class Setting(NamedTuple):
    """The constants shared by all groups of seeds.

    Attributes:
        program: the compiled functions.
        offline: the offline rows, leaves [K, ...], on all devices.
        data: the prepared dataset, for its scalings.
        action_scaling: maps actions from [-1, 1] to the environment's range; None if the ranges are the same.
        layout: the layout of the seeds of a group.
        columns: the columns that the algorithm needs in addition.
    """

    program: OnlineProgram
    offline: Transitions
    data: PreparedData
    action_scaling: ActionScaling | None
    layout: layouts.Layout
    columns: tuple[EpisodeColumn, ...] = ()

    def scale(self, observations: np.ndarray) -> np.ndarray:
        """Scales observations as the networks expect them.

        Args:
            observations: raw observations, [S, O].

        Returns:
            The scaled observations, [S, O], float32.
        """
        return np.asarray(self.data.observation_scaling(observations), np.float32)


class SeedGroup:
    """The states, buffers and environments of the seeds of one group.

    Args:
        setting: the constants shared with the other groups.
        seeds: S seeds.
        envs: the environments of these seeds.
        states: the initial states, leaves [S, ...] on the host.
        ring: the empty buffers of these seeds.
        num_metrics: number of metrics M.
    """

    def __init__(
        self, setting: Setting, seeds: Sequence[int], *, envs: LockstepEnvs, states: Any, ring: Ring, num_metrics: int
    ) -> None:
        self._setting, self._envs, self._size = setting, envs, len(seeds)
        self._keys = layouts.stack_keys(seeds, setting.layout)
        self._episodes = RunningEpisodes(setting.columns, len(seeds))
        zeros: Any = np.zeros((len(seeds), num_metrics), np.float32)
        first = self._observations = setting.scale(envs.reset())
        states, ring, first, sums = layouts.place_states((states, ring, first, Average(zeros, zeros)), setting.layout)
        self._carry = setting.program.begin(states, ring, first, sums, self._keys)

    @property
    def states(self) -> Any:
        """The states on the devices, leaves [S or more, ...]; rows after the last seed are padding."""
        return self._setting.program.states(self._carry)

    def step(self, steps: int, start: int, stop: int) -> dict[int, float]:
        """Performs one step in every environment and starts the updates start + 1 to stop, without waiting for them.

        Args:
            steps: number of environment steps before this one.
            start: number of online updates before this step.
            stop: number of online updates after this step.

        Returns:
            The returns of the training episodes that ended, by index of the seed.
        """
        setting, unit_actions = self._setting, self._without_padding(np.asarray(self._carry.actions))
        actions = unit_actions
        if setting.action_scaling is not None:
            actions = setting.action_scaling.from_unit(actions)
        outcome = self._envs.step(actions)
        next_observations = observations = setting.scale(outcome.next_observations)
        if outcome.finished_returns:  # new episodes have begun
            observations = setting.scale(outcome.observations)
        rewards, masks = setting.data.reward_map(outcome.rewards), 1.0 - outcome.terminated
        if setting.columns:
            rewards, masks = rewards.astype(np.float32), masks.astype(np.float32)
            self._episodes.add(Transitions(self._observations, unit_actions, rewards, masks, next_observations))
        joined = join_outcome(rewards, masks, next_observations, observations)
        joined = np.array(layouts.pad(list(joined), setting.layout))
        numbers = np.array([steps, start, stop], np.int32)
        self._carry = setting.program.step(self._carry, setting.offline, joined, self._keys, numbers)
        self._observations = observations
        if setting.columns:
            self._fill(sorted(outcome.finished_returns), steps + 1)
        return outcome.finished_returns

    def _fill(self, ended: Sequence[int], steps: int) -> None:
        """Fills in the columns of episodes that have ended, which the next updates read."""
        for filling in self._episodes.end(ended, steps):
            arguments = layouts.place_states(tuple(filling), self._setting.layout)
            ring = self._carry.ring
            extras = self._setting.program.fill(ring.rows.extras, *arguments)
            self._carry = self._carry._replace(ring=ring._replace(rows=ring.rows._replace(extras=extras)))

    def fetch_metrics(self) -> np.ndarray:
        """Averages the metrics over the updates since the last call.

        Returns:
            The mean of every metric, [S, M]; NaN if it did not occur.
        """
        sums = self._carry.sums
        self._carry = self._carry._replace(sums=jax.tree.map(jnp.zeros_like, sums))
        return self._without_padding(np.asarray(sums.total / sums.weight))

    def replace_states(self, states: Any) -> None:
        """Replaces the current states.

        Args:
            states: the new states, leaves [S, ...] on the host.
        """
        self._carry = self._setting.program.with_states(self._carry, layouts.place_states(states, self._setting.layout))

    def memory(self, steps: int) -> Memory:
        """Returns the memory on the devices.

        Args:
            steps: number of environment steps done.
        """
        carry = self._carry
        rows = jax.tree.map(lambda column: column[:, :steps], carry.ring.rows)
        memory = Memory(
            rows=rows,
            trusted=carry.ring.trusted,
            observations=carry.observations,
            actions=carry.actions,
            sums=carry.sums,
        )
        return jax.tree.map(self._without_padding, memory)

    def save_envs(self) -> list[dict[str, Any]]:
        """Returns the state of every seed's environment."""
        return self._envs.save()

    def load(self, states: Any, memory: Memory, envs: list[dict[str, Any]], steps: int) -> None:
        """Restores a saved group; training then continues bit for bit.

        Args:
            states: the states, leaves [S, ...] on the host.
            memory: the memory as `memory` returned it, on the host.
            envs: the environments as `save_envs` returned them.
            steps: number of environment steps done.
        """

        def fill(column: Array, rows: np.ndarray) -> np.ndarray:
            filled = np.zeros((self._size, *column.shape[1:]), column.dtype)
            filled[:, : rows.shape[1]] = rows
            return filled

        ring = Ring(rows=jax.tree.map(fill, self._carry.ring.rows, memory.rows), trusted=memory.trusted)
        others = ring, memory.observations, memory.actions, memory.sums
        ring, observations, actions, sums = layouts.place_states(others, self._setting.layout)
        self._carry = self._carry._replace(ring=ring, observations=observations, actions=actions, sums=sums)
        self.replace_states(states)
        self._envs.restore(envs)
        self._observations = np.asarray(memory.observations)
        if self._setting.columns:
            self._episodes.restore(memory.rows, [len(entry["actions"]) for entry in envs], steps)

    def close(self) -> None:
        """Closes the environments."""
        self._envs.close()

    def _without_padding(self, leaf: Any) -> Any:
        """Removes the rows that only fill the devices."""
        return leaf[: self._size]
