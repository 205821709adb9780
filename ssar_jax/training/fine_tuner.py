"""Fine-tunes several seeds online, in lockstep; no files."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.scaling import PreparedData
from ssar_jax.envs.lockstep import LockstepEnvs
from ssar_jax.errors import UserError
from ssar_jax.training import loop
from ssar_jax.training.initial_buffer import InitialBuffer
from ssar_jax.training.online_loop import make_program
from ssar_jax.training.seed_group import Memory, SeedGroup, Setting
from ssar_jax.training.trainer import Policy, make_policy
from ssar_jax.types import Array


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
        layout = layout or loop.choose_layout(len(seeds))
        self._members = loop.groups(len(seeds), layout)
        program = make_program(
            algorithm,
            jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), states),
            buffer.functions,
            layout,
            batch_size=protocol.batch_size,
            noise=protocol.noise,
            annealing=protocol.annealing or (lambda number: jnp.ones(())),
            first_update=first_update,
        )
        offline = jax.device_put(buffer.offline, NamedSharding(layout.mesh, loop.REPLICATED))
        self._metric_names = program.metric_names(offline)
        trusted = np.broadcast_to(buffer.trusted, (len(self.seeds), buffer.trusted.shape[1]))
        sizes = buffer.offline.observations.shape[1], buffer.offline.actions.shape[1]
        setting = Setting(program, offline, data, action_scaling, layout)

        def make_group(members: slice) -> SeedGroup:
            mine = self.seeds[members]
            ring = buffer.functions.init(trusted[members], *sizes)
            envs = LockstepEnvs(make_env, mine)
            return SeedGroup(setting, mine, envs, _rows(states, members), ring, len(self._metric_names))

        self._groups = [make_group(members) for members in self._members]

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
            start, stop = self.updates, self._protocol.updates_after(self.steps + 1)
            # While the devices update one group, the host steps the environments of the next.
            for members, group in zip(self._members, self._groups, strict=True):
                for s, total in group.step(self.steps, start, stop).items():
                    self.finished_returns[members.start + s].append(total)
            self.steps += 1
        means = np.concatenate([group.fetch_metrics() for group in self._groups])
        return dict(zip(self._metric_names, means.T, strict=True))

    def states_on_devices(self) -> list[Any]:
        """The states where they are, by groups of seeds; behind the last seed's may follow copies that fill devices."""
        return [group.states for group in self._groups]

    def replace_states(self, states: Any) -> None:
        """Puts other states, leaves [S, ...] on the host, in the place of those that trained until here."""
        for members, group in zip(self._members, self._groups, strict=True):
            group.replace_states(_rows(states, members))

    def states(self) -> Any:
        """The states of all seeds, leaves [S, ...], on the host."""
        return self._gather(group.states for group in self._groups)

    def policies(self) -> Any:
        """The policy parameters of all seeds, leaves [S, ...], on the host."""
        return self._gather(self._algorithm.policy(group.states) for group in self._groups)

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
        memory = self._gather(group.memory(self.steps) for group in self._groups)
        return self.states(), memory, [saved for group in self._groups for saved in group.save_envs()]

    def like_memory(self, steps: int) -> Memory:
        """Shapes and types of the memory after a number of steps."""
        like = jax.eval_shape(lambda: self._groups[0].memory(steps))
        seeds = len(self.seeds)
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((seeds, *leaf.shape[1:]), leaf.dtype), like)

    def load(self, states: Any, memory: Memory, envs: list[dict[str, Any]], steps: int) -> None:
        """Goes on, bit for bit, from what `save` gave after a number of steps."""
        for members, group in zip(self._members, self._groups, strict=True):
            group.load(_rows(states, members), _rows(memory, members), envs[members])
        self.steps = steps

    def close(self) -> None:
        """Closes the environments."""
        for group in self._groups:
            group.close()

    def _gather(self, groups: Iterable[Any]) -> Any:
        """Leaves [S, ...] on the host of what the groups have on the devices."""
        on_host = [jax.device_get(group) for group in groups]
        return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(self.seeds)], *on_host)


def _rows(tree: Any, members: slice) -> Any:
    return jax.tree.map(lambda leaf: leaf[members], tree)
