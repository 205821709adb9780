"""Fine-tunes several seeds online, in lockstep; no files."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.normalisation import PreparedData
from ssar_jax.envs.lockstep import LockstepEnvs
from ssar_jax.errors import UserError
from ssar_jax.training import loop
from ssar_jax.training.buffers import InitialBuffer
from ssar_jax.training.online_loop import Carry, Outcome, make_program
from ssar_jax.training.replay import Ring, Transitions
from ssar_jax.training.trainer import Policy, make_policy
from ssar_jax.types import Array, Average


class Protocol(NamedTuple):
    """How the online phase interleaves acting and learning.

    Attributes:
        warmup_steps: environment steps before the first update.
        updates_per_step: updates per environment step after the warm-up, on average.
        steps_between_updates: environment steps after which the updates due are made, all at once.
        batch_size: B.
        noise: standard deviation of what is added to the algorithm's own actions.
        annealing: the factor on the regulariser by number of online updates; None leaves it at 1.
    """

    warmup_steps: int = 5_000
    updates_per_step: int = 1
    steps_between_updates: int = 1
    batch_size: int = 256
    noise: float = 0.0
    annealing: Callable[[Array], Array] | None = None

    def updates_after(self, steps: int) -> int:
        """Number of updates made after a number of environment steps."""
        learning = max(0, steps - self.warmup_steps)
        return (learning - learning % self.steps_between_updates) * self.updates_per_step


class Memory(NamedTuple):
    """The arrays that a fine-tuner needs to go on, besides its states.

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


class FineTuner:
    """The states, buffers and environments of several seeds, and the program that advances them.

    A seed's result does not depend on the seeds trained beside it.

    Args:
        algorithm: what to train.
        states: the states to start from, leaves [S, ...] on the host.
        data: the prepared dataset, for its scalings.
        buffer: what the buffers hold at the start.
        make_env: builds one environment.
        seeds: S seeds.
        num_steps: environment steps at most, of each seed.
        protocol: how acting and learning alternate.
        first_update: number of offline updates behind the states.
        action_scaling: maps actions from [-1, 1] to the environment's range; None leaves them.
        layout: where the seeds live; None chooses by backend.

    Attributes:
        steps: number of environment steps so far, of each seed.
        seeds: the seeds, in the order of every leading axis.
        finished_returns: of the training episodes that ended since `advance` was called, per seed.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        states: Any,
        data: PreparedData,
        buffer: InitialBuffer,
        make_env: Callable[[], gymnasium.Env],
        *,
        seeds: Sequence[int],
        num_steps: int,
        protocol: Protocol,
        first_update: int,
        action_scaling: ActionScaling | None = None,
        layout: loop.Layout | None = None,
    ) -> None:
        self.steps = 0
        self.seeds = tuple(seeds)
        self.finished_returns: list[list[float]] = [[] for _ in self.seeds]
        self._algorithm, self._data, self._protocol = algorithm, data, protocol
        self._action_scaling = action_scaling
        self._num_steps = num_steps
        self._layout = layout or loop.choose_layout(len(seeds))
        self._program = make_program(
            algorithm,
            buffer.functions,
            loop.stack_keys(seeds, self._layout),
            self._layout,
            batch_size=protocol.batch_size,
            noise=protocol.noise,
            annealing=protocol.annealing or (lambda number: jnp.ones(())),
            first_update=first_update,
        )
        self._envs = LockstepEnvs(make_env, seeds)
        everywhere = NamedSharding(self._layout.mesh, loop.REPLICATED)
        self._offline = jax.device_put(buffer.offline, everywhere)
        trusted = np.broadcast_to(buffer.trusted, (len(self.seeds), buffer.trusted.shape[1]))
        sizes = buffer.offline.observations.shape[1], buffer.offline.actions.shape[1]
        ring = buffer.functions.init(trusted, *sizes)
        first = self._scale(self._envs.reset())
        self._metric_names = self._program.metric_names(states, self._offline)
        zeros: Any = np.zeros((len(self.seeds), len(self._metric_names)), np.float32)
        self._carry = self._program.begin(
            *loop.place_states((states, ring, first, Average(zeros, zeros)), self._layout)
        )

    @property
    def updates(self) -> int:
        """Number of online updates so far."""
        return self._protocol.updates_after(self.steps)

    def advance(self, num_steps: int) -> dict[str, np.ndarray]:
        """Takes every seed through a number of environment steps and the updates that are due.

        Returns:
            The mean of every metric over the updates since the last call, [S]; NaN where it did not occur.

        Raises:
            UserError: beyond the number of steps that the buffers were made for.
        """
        if self.steps + num_steps > self._num_steps:
            raise UserError(f"{self.steps + num_steps} environment steps do not fit into num_steps={self._num_steps}")
        self.finished_returns = [[] for _ in self.seeds]
        for _ in range(num_steps):
            self._step()
        sums = self._carry.sums
        means = np.asarray(self._mine(sums.total / sums.weight))
        self._carry = self._carry._replace(sums=jax.tree.map(jnp.zeros_like, sums))
        return dict(zip(self._metric_names, means.T, strict=True))

    def _step(self) -> None:
        actions = np.asarray(self._carry.actions)[: len(self.seeds)]
        outcome = self._envs.step(actions if self._action_scaling is None else self._action_scaling.from_unit(actions))
        for s, total in outcome.finished_returns.items():
            self.finished_returns[s].append(total)
        following = begun = self._pad(self._scale(outcome.next_observations))
        if outcome.finished_returns:
            begun = self._pad(self._scale(outcome.observations))
        rewards = self._pad(self._data.reward_map(outcome.rewards))
        made = Outcome(rewards, self._pad(1.0 - outcome.terminated), following, begun)
        start, stop = self.updates, self._protocol.updates_after(self.steps + 1)
        self._carry = self._program.step(self._carry, self._offline, made, self.steps, start, stop)
        self.steps += 1

    def states_on_devices(self) -> Any:
        """The states of all seeds, and of those that only fill the devices, leaves [S or more, ...]."""
        return self._carry.states

    def replace_states(self, states: Any) -> None:
        """Puts other states, leaves [S, ...] on the host, in the place of those that trained until here."""
        self._carry = self._carry._replace(states=loop.place_states(states, self._layout))

    def states(self) -> Any:
        """The states of all seeds, leaves [S, ...], on the host."""
        return jax.device_get(jax.tree.map(self._mine, self._carry.states))

    def policies(self) -> Any:
        """The policy parameters of all seeds, leaves [S, ...]."""
        return jax.tree.map(self._mine, self._algorithm.policy(self._carry.states))

    def policy(self, seed: int) -> Policy:
        """The deterministic policy of one seed, a function on NumPy arrays.

        Raises:
            UserError: for a seed that was not trained.
        """
        if seed not in self.seeds:
            raise UserError(f"seed {seed} was not trained: choose one of {list(self.seeds)}")
        params = jax.tree.map(lambda leaf: leaf[self.seeds.index(seed)], self.policies())
        return make_policy(self._algorithm, params, self._data.observation_scaling, self._action_scaling)

    def save(self) -> tuple[Any, Memory, list[dict[str, Any]]]:
        """Everything needed to go on: states and memory on the host, and the environments' states."""
        carry = jax.tree.map(self._mine, self._carry)
        rows = jax.tree.map(lambda column: column[:, : self.steps], carry.ring.rows)
        memory = Memory(rows, carry.ring.trusted, carry.observations, carry.actions, carry.sums)
        return *jax.device_get((carry.states, memory)), self._envs.save()

    def like_memory(self, steps: int) -> Memory:
        """Shapes and types of the memory after a number of steps."""
        now = jax.eval_shape(lambda carry: jax.tree.map(self._mine, carry), self._carry)
        rows = jax.tree.map(
            lambda column: jax.ShapeDtypeStruct(
                (column.shape[0], min(steps, column.shape[1]), *column.shape[2:]), column.dtype
            ),
            now.ring.rows,
        )
        return Memory(rows, now.ring.trusted, now.observations, now.actions, now.sums)

    def load(self, states: Any, memory: Memory, envs: list[dict[str, Any]], steps: int) -> None:
        """Goes on, bit for bit, from what `save` gave after a number of steps."""

        def fill(column: Array, rows: np.ndarray) -> np.ndarray:
            filled = np.zeros((len(self.seeds), *column.shape[1:]), column.dtype)
            filled[:, : rows.shape[1]] = rows
            return filled

        rows = jax.tree.map(fill, self._carry.ring.rows, memory.rows)
        carry = Carry(states, Ring(rows, memory.trusted), memory.observations, memory.actions, memory.sums)
        self._carry = loop.place_states(carry, self._layout)
        self._envs.restore(envs)
        self.steps = steps

    def close(self) -> None:
        """Closes the environments."""
        self._envs.close()

    def _scale(self, observations: np.ndarray) -> np.ndarray:
        return np.asarray(self._data.observation_scaling(observations), np.float32)

    def _mine(self, leaf: Any) -> Any:
        """Cuts off the rows that only fill the devices."""
        return leaf[: len(self.seeds)]

    def _pad(self, values: np.ndarray) -> np.ndarray:
        """Repeats the last seed's values until all devices have the same number."""
        missing = self._layout.rows(len(self.seeds)) - len(self.seeds)
        padded = np.concatenate([values, *[values[-1:]] * missing]) if missing else values
        return padded.astype(np.float32, copy=False)
