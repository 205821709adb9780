"""Online fine-tuning of several seeds in lockstep."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.columns import keep_columns
from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.scaling import PreparedData, prepare
from ssar_jax.envs.actions import ActionBounds
from ssar_jax.envs.lockstep import LockstepEnvs
from ssar_jax.envs.stepping import name_of
from ssar_jax.envs.trial import require_usable
from ssar_jax.errors import UserError
from ssar_jax.training import initial_buffer, replay_buffer
from ssar_jax.training import layout as layouts
from ssar_jax.training.initial_buffer import InitialBuffer
from ssar_jax.training.online_loop import make_program
from ssar_jax.training.seed_group import Memory, SeedGroup, Setting
from ssar_jax.training.trainer import Policy, make_policy, require_pretrained
from ssar_jax.types import Array


class Protocol(NamedTuple):
    """How acting and learning alternate in the online phase.

    Attributes:
        warmup_steps: number of environment steps before the first update.
        updates_per_step: average number of updates per environment step after the warm-up.
        steps_between_updates: number of environment steps after which all updates that are due are made.
        batch_size: minibatch size B.
        noise: standard deviation of Gaussian noise added to the actions, which are in [-1, 1].
        annealing: function of the number of online updates that returns the factor on the regularizer; None means 1.
    """

    warmup_steps: int = 5_000
    updates_per_step: int = 1
    steps_between_updates: int = 1
    batch_size: int = 256
    noise: float = 0.0
    annealing: Callable[[Array], Array] | None = None

    def updates_after(self, steps: int) -> int:
        """Returns the number of online updates after a number of environment steps.

        Args:
            steps: number of environment steps.
        """
        learning = max(0, steps - self.warmup_steps)
        return (learning - learning % self.steps_between_updates) * self.updates_per_step


class FineTuner:
    """The states, buffers and environments of several seeds, and the program that advances them.

    The result of a seed does not depend on the other seeds.

    Args:
        algorithm: the algorithm to train.
        states: the initial states, leaves [S, ...] on the host.
        data: the prepared dataset, for its scalings.
        buffer: the initial replay buffers.
        make_env: function that builds one environment.
        seeds: S seeds.
        num_steps: maximum number of environment steps per seed.
        protocol: how acting and learning alternate.
        first_update: number of offline updates of the initial states.
        action_scaling: maps actions from [-1, 1] to the environment's range; None if the ranges are the same.
        layout: how the seeds are spread over devices; None chooses by backend.

    Attributes:
        steps: number of environment steps so far, per seed.
        seeds: the seeds, in the order of every leading axis.
        finished_returns: for every seed, the returns of the training episodes that ended in the last call of
            `advance`.

    Raises:
        UserError: if `states` have another number of seeds than `seeds`, or lack a model that must be trained first, or
            the buffers lack a column that the algorithm needs.
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
        layout: layouts.Layout | None = None,
    ) -> None:
        rows = {leaf.shape[0] for leaf in jax.tree.leaves(states)}
        if rows != {len(seeds)}:
            raise UserError(
                f"the states have {', '.join(map(str, sorted(rows)))} seeds, but seeds={list(seeds)} has "
                f"{len(seeds)}: give one seed per row of the states"
            )
        require_pretrained(algorithm, states)
        buffer = buffer._replace(offline=keep_columns(buffer.offline, algorithm.columns))
        self.steps = 0
        self.seeds = tuple(seeds)
        self.finished_returns: list[list[float]] = [[] for _ in self.seeds]
        self._algorithm, self._data, self._protocol = algorithm, data, protocol
        self._action_scaling = action_scaling
        self._num_steps = num_steps
        layout = layout or layouts.choose_layout(len(seeds))
        self._members = layouts.groups(len(seeds), layout)
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
        offline = jax.device_put(buffer.offline, NamedSharding(layout.mesh, layouts.REPLICATED))
        self._metric_names = program.metric_names(offline)
        trusted = np.broadcast_to(buffer.trusted, (len(self.seeds), buffer.trusted.shape[1]))
        sizes = buffer.offline.observations.shape[1], buffer.offline.actions.shape[1]
        setting = Setting(program, offline, data, action_scaling, layout, algorithm.columns)

        def make_group(members: slice) -> SeedGroup:
            group_seeds = self.seeds[members]
            return SeedGroup(
                setting,
                group_seeds,
                envs=LockstepEnvs(make_env, group_seeds),
                states=_rows(states, members),
                ring=buffer.functions.init(trusted[members], *sizes, buffer.offline.extras),
                num_metrics=len(self._metric_names),
            )

        self._groups = [make_group(members) for members in self._members]

    @property
    def updates(self) -> int:
        """Number of online updates so far."""
        return self._protocol.updates_after(self.steps)

    def advance(self, num_steps: int) -> dict[str, np.ndarray]:
        """Performs a number of environment steps per seed, and the updates that are due.

        Args:
            num_steps: number of environment steps.

        Returns:
            The mean of every metric over the updates of this call, [S]; NaN if it did not occur.

        Raises:
            UserError: if the total number of steps exceeds `num_steps` of the constructor.
        """
        if self.steps + num_steps > self._num_steps:
            raise UserError(
                f"{self.steps + num_steps} environment steps exceed num_steps={self._num_steps}: increase it"
            )
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
        """Returns the states of every group of seeds, leaves [S or more, ...]; rows after the last seed are padding."""
        return [group.states for group in self._groups]

    def replace_states(self, states: Any) -> None:
        """Replaces the current states.

        Args:
            states: the new states, leaves [S, ...] on the host.
        """
        for members, group in zip(self._members, self._groups, strict=True):
            group.replace_states(_rows(states, members))

    def states(self) -> Any:
        """Returns the states of all seeds, leaves [S, ...], on the host."""
        return self._gather(group.states for group in self._groups)

    def policies(self) -> Any:
        """Returns the policy parameters of all seeds, leaves [S, ...], on the host."""
        return self._gather(self._algorithm.policy_params(group.states) for group in self._groups)

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
        params = jax.tree.map(lambda leaf: leaf[self.seeds.index(seed)], self.policies())
        return make_policy(self._algorithm, params, self._data.observation_scaling, self._action_scaling)

    def save(self) -> tuple[Any, Memory, list[dict[str, Any]]]:
        """Copies everything that `load` needs.

        Returns:
            The states of all seeds and the memory, leaves [S, ...] on the host, and the state of every seed's
            environment.
        """
        memory = self._gather(group.memory(self.steps) for group in self._groups)
        return self.states(), memory, [saved for group in self._groups for saved in group.save_envs()]

    def like_memory(self, steps: int) -> Memory:
        """Returns shapes and types of the memory.

        Args:
            steps: number of environment steps done when it was saved.
        """
        like = jax.eval_shape(lambda: self._groups[0].memory(steps))
        seeds = len(self.seeds)
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((seeds, *leaf.shape[1:]), leaf.dtype), like)

    def load(self, states: Any, memory: Memory, envs: list[dict[str, Any]], steps: int) -> None:
        """Restores what `save` returned; training then continues bit for bit.

        Args:
            states: the states of all seeds, leaves [S, ...].
            memory: the memory, leaves [S, ...].
            envs: the state of every seed's environment.
            steps: number of environment steps done when they were saved.
        """
        for members, group in zip(self._members, self._groups, strict=True):
            group.load(_rows(states, members), _rows(memory, members), envs[members], steps)
        self.steps = steps

    def close(self) -> None:
        """Closes the environments."""
        for group in self._groups:
            group.close()

    def _gather(self, groups: Iterable[Any]) -> Any:
        """Concatenates trees of the groups and copies them to the host, leaves [S, ...]."""
        on_host = [jax.device_get(group) for group in groups]
        return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(self.seeds)], *on_host)


def _rows(tree: Any, members: slice) -> Any:
    return jax.tree.map(lambda leaf: leaf[members], tree)


def fine_tune(
    algorithm: Algorithm,
    states: Any,
    *,
    make_env: Callable[[], gymnasium.Env],
    dataset: OfflineDataset,
    data: PreparedData | None = None,
    trusted: np.ndarray | None = None,
    seeds: Sequence[int] = (0,),
    num_steps: int = 250_000,
    first_update: int = 0,
    buffer: replay_buffer.Mode = "all",
    capacity: int | None = None,
    part_k: int = 50,
    trust: replay_buffer.Trust = "one",
    protocol: Protocol | None = None,
    action_scaling: ActionScaling | None = None,
) -> FineTuner:
    """Fine-tunes every seed for a number of environment steps.

    Args:
        algorithm: the algorithm to train.
        states: the initial states, leaves [S, ...], such as `OfflineTrainer.states()`.
        make_env: function that builds one environment.
        dataset: the raw offline dataset, N rows.
        data: the dataset as prepared for the offline phase; None prepares it with normalized observations.
        trusted: its selected rows, [N] or [S, N]; None trusts all.
        seeds: S seeds.
        num_steps: number of environment steps per seed.
        first_update: number of offline updates of the initial states.
        buffer: the offline rows in the initial replay buffers, see `replay_buffer.Mode`.
        capacity: maximum number of transitions in a buffer; None stores all of them.
        part_k: number of trajectories kept by the mode `part`.
        trust: the trust flag of new transitions, see `replay_buffer.Trust`.
        protocol: how acting and learning alternate; None takes the defaults.
        action_scaling: maps actions from [-1, 1] to the environment's range; None if the ranges are the same.

    Returns:
        The fine-tuner after its last step, with `states`, `policies` and `policy(seed)`.

    Raises:
        UserError: if the offline rows do not fit into the buffers, or the environment cannot be used, has other sizes
            than the dataset, or actions that need a scaling.
    """
    _require_environment(make_env, dataset, action_scaling)
    data = prepare(dataset, columns=algorithm.columns) if data is None else data
    trusted = np.ones(len(dataset), np.float32) if trusted is None else trusted
    rows = initial_buffer.kept_rows(buffer, dataset, part_k)
    capacity = len(rows) + num_steps if capacity is None else capacity
    initial = initial_buffer.make_buffer(
        buffer, rows, data, trusted, capacity=capacity, num_steps=num_steps, trust=trust
    )
    tuner = FineTuner(
        algorithm, states, data, initial, make_env,
        seeds=seeds, num_steps=num_steps, protocol=protocol or Protocol(), first_update=first_update,
        action_scaling=action_scaling,
    )  # fmt: skip
    tuner.advance(num_steps)
    tuner.close()
    return tuner


def _require_environment(
    make_env: Callable[[], gymnasium.Env], dataset: OfflineDataset, action_scaling: ActionScaling | None
) -> None:
    """Requires an environment that works, has the sizes of the dataset, and takes the algorithm's actions."""
    env = make_env()
    name = name_of(env)
    require_usable(env, f"environment {name}")
    env.close()
    bounds = ActionBounds.from_space(env.action_space)
    found = env.observation_space.shape, env.action_space.shape
    expected = (dataset.observation_size,), (dataset.action_size,)
    for kind, shape, size in zip(("observations", "actions"), found, expected, strict=True):
        if shape != size:
            raise UserError(f"environment {name} has {kind} {shape}, the dataset {size}: choose another one")
    if action_scaling is None and not (np.all(bounds.low == -1.0) and np.all(bounds.high == 1.0)):
        raise UserError(
            f"the environment's actions are between {bounds.low} and {bounds.high}, the algorithm's in [-1, 1]: "
            "set action_scaling=ActionScaling.from_bounds(low, high)"
        )
