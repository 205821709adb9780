"""Fine-tuning from Python in one call."""

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.scaling import PreparedData, prepare
from ssar_jax.errors import UserError
from ssar_jax.training import initial_buffer, replay_buffer
from ssar_jax.training.fine_tuner import FineTuner, Protocol


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
        algorithm: what to train.
        states: where to start, leaves [S, ...], such as `OfflineTrainer.states()`.
        make_env: builds one environment.
        dataset: the raw offline dataset.
        data: the same, as prepared for the offline phase; None prepares it with normalised observations.
        trusted: its selected rows, [N] or [S, N]; None trusts all.
        seeds: S seeds.
        num_steps: environment steps of each.
        first_update: number of offline updates behind the states.
        buffer: what the buffers hold at the start, see `replay_buffer.Mode`.
        capacity: transitions a buffer holds; None takes as many as there will be.
        part_k: trajectories kept by the mode `part`.
        trust: the trust flag of new transitions, see `replay_buffer.Trust`.
        protocol: how acting and learning alternate; None takes the defaults.
        action_scaling: maps actions from [-1, 1] to the environment's range; None leaves them.

    Returns:
        The fine-tuner after its last step, with `states`, `policies` and `policy(seed)`.

    Raises:
        UserError: where the offline rows do not fit into the buffers, or the environment's actions need a scaling.
    """
    if action_scaling is None:
        _require_unit_actions(make_env)
    data = prepare(dataset) if data is None else data
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


def _require_unit_actions(make_env: Callable[[], gymnasium.Env]) -> None:
    env = make_env()
    space = env.action_space
    env.close()
    if isinstance(space, gymnasium.spaces.Box) and not (np.all(space.low == -1.0) and np.all(space.high == 1.0)):
        raise UserError(
            f"the environment's actions lie between {space.low} and {space.high}, the algorithm's in [-1, 1]: "
            "give action_scaling=ActionScaling.from_bounds(low, high)"
        )
