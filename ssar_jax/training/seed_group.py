"""Seeds that fine-tune in lockstep, by one device call per environment step for all of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.scaling import PreparedData
from ssar_jax.envs.lockstep import LockstepEnvs
from ssar_jax.training import loop
from ssar_jax.training.online_loop import OnlineProgram, join_outcome
from ssar_jax.training.replay_buffer import Ring, Transitions
from ssar_jax.types import Array, Average


class Memory(NamedTuple):
    """The arrays that seeds need to go on, besides their states.

    Attributes:
        rows: the online transitions so far, leaves [S, steps, ...].
        trusted: the flags of all slots, [S, C].
        observations: those that `actions` answer, scaled, [S, O].
        actions: what the environments are to do next, [S, A].
        sums: of the metrics since they were last fetched.
    """

    rows: Transitions
    trusted: Any
    observations: Any
    actions: Any
    sums: Any


class Setting(NamedTuple):
    """What all groups of seeds share.

    Attributes:
        program: what advances them.
        offline: the offline rows, on all devices.
        data: the prepared dataset, for its scalings.
        action_scaling: maps actions from [-1, 1] to the environment's range; None leaves them.
        layout: where the seeds of a group live.
    """

    program: OnlineProgram
    offline: Transitions
    data: PreparedData
    action_scaling: ActionScaling | None
    layout: loop.Layout

    def scale(self, observations: np.ndarray) -> np.ndarray:
        """Observations as the networks see them."""
        return np.asarray(self.data.observation_scaling(observations), np.float32)


class SeedGroup:
    """The states, buffers and environments of the seeds of one group.

    Args:
        setting: what it shares with the other groups.
        seeds: S seeds.
        envs: theirs.
        states: to start from, leaves [S, ...] on the host.
        ring: their empty buffers.
        num_metrics: M.
    """

    def __init__(
        self, setting: Setting, seeds: Sequence[int], envs: LockstepEnvs, states: Any, ring: Ring, num_metrics: int
    ) -> None:
        self._setting, self._envs, self._size = setting, envs, len(seeds)
        self._keys = loop.stack_keys(seeds, setting.layout)
        zeros: Any = np.zeros((len(seeds), num_metrics), np.float32)
        first = setting.scale(envs.reset())
        states, ring, first, sums = loop.place_states((states, ring, first, Average(zeros, zeros)), setting.layout)
        self._carry = setting.program.begin(states, ring, first, sums, self._keys)

    @property
    def states(self) -> Any:
        """The states on the devices, leaves [S or more, ...]: the last rows may only fill the devices."""
        return self._setting.program.states(self._carry)

    def step(self, steps: int, start: int, stop: int) -> dict[int, float]:
        """Takes one step in every environment and begins the updates start + 1 to stop, without waiting for them.

        Args:
            steps: number of environment steps before.
            start: number of online updates before.
            stop: the same after.

        Returns:
            The return of every training episode that ended, by index of the seed.
        """
        setting, actions = self._setting, self._mine(np.asarray(self._carry.actions))
        if setting.action_scaling is not None:
            actions = setting.action_scaling.from_unit(actions)
        outcome = self._envs.step(actions)
        following = begun = setting.scale(outcome.next_observations)
        if outcome.finished_returns:
            begun = setting.scale(outcome.observations)
        rewards, masks = setting.data.reward_map(outcome.rewards), 1.0 - outcome.terminated
        joined = np.array(loop.pad(list(join_outcome(rewards, masks, following, begun)), setting.layout))
        numbers = np.array([steps, start, stop], np.int32)
        self._carry = setting.program.step(self._carry, setting.offline, joined, self._keys, numbers)
        return outcome.finished_returns

    def fetch_metrics(self) -> np.ndarray:
        """The mean of every metric over the updates since the last call, [S, M]; NaN where it did not occur."""
        sums = self._carry.sums
        self._carry = self._carry._replace(sums=jax.tree.map(jnp.zeros_like, sums))
        return self._mine(np.asarray(sums.total / sums.weight))

    def replace_states(self, states: Any) -> None:
        """Puts other states, leaves [S, ...] on the host, in the place of those that trained until here."""
        self._carry = self._setting.program.with_states(self._carry, loop.place_states(states, self._setting.layout))

    def memory(self, steps: int) -> Memory:
        """The memory after a number of steps, on the devices."""
        carry = self._carry
        rows = jax.tree.map(lambda column: column[:, :steps], carry.ring.rows)
        memory = Memory(rows, carry.ring.trusted, carry.observations, carry.actions, carry.sums)
        return jax.tree.map(self._mine, memory)

    def save_envs(self) -> list[dict[str, Any]]:
        """What decides how the environments go on, by seed."""
        return self._envs.save()

    def load(self, states: Any, memory: Memory, envs: list[dict[str, Any]]) -> None:
        """Goes on, bit for bit, from `states`, `memory` and `save_envs`."""

        def fill(column: Array, rows: np.ndarray) -> np.ndarray:
            filled = np.zeros((self._size, *column.shape[1:]), column.dtype)
            filled[:, : rows.shape[1]] = rows
            return filled

        ring = Ring(jax.tree.map(fill, self._carry.ring.rows, memory.rows), memory.trusted)
        others = ring, memory.observations, memory.actions, memory.sums
        ring, observations, actions, sums = loop.place_states(others, self._setting.layout)
        self._carry = self._carry._replace(ring=ring, observations=observations, actions=actions, sums=sums)
        self.replace_states(states)
        self._envs.restore(envs)

    def close(self) -> None:
        """Closes the environments."""
        self._envs.close()

    def _mine(self, leaf: Any) -> Any:
        """Cuts off the rows that only fill the devices."""
        return leaf[: self._size]
