"""A small fine-tuner: six offline rows, a scripted environment and an algorithm that records its updates."""

import jax
import jax.numpy as jnp
import numpy as np

from ssar_jax.algorithms.base import Algorithm
from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.scaling import prepare
from ssar_jax.training import loop
from ssar_jax.training.fine_tuner import FineTuner, Protocol
from ssar_jax.training.initial_buffer import kept_rows, make_buffer
from ssar_jax.training.layout import choose_layout
from ssar_jax.types import Average
from tests.training.scripted_env import Scripted

LOG = 64


def make_diary(batch_size):
    """An algorithm that records the steps, factors and rewards of its updates; its action is half its weight."""

    def init(key, observations, actions):
        return {
            "weight": jax.random.uniform(key),
            "steps": jnp.zeros(LOG),
            "factors": jnp.zeros(LOG),
            "rewards": jnp.full((LOG, batch_size), jnp.nan),
            "count": jnp.int32(0),
        }

    def update(state, batch, draws, *, step, annealing, phase):
        assert phase == "online"
        i = state["count"]
        return {
            "weight": state["weight"] + 0.001 * jnp.mean(batch.rewards * draws),
            "steps": state["steps"].at[i].set(step),
            "factors": state["factors"].at[i].set(annealing),
            "rewards": state["rewards"].at[i].set(batch.rewards),
            "count": i + 1,
        }, {"diary/step": Average(jnp.float32(step), jnp.ones(()))}

    def act(params, observations, key):
        return 0.5 * params[..., None] * jnp.ones((*observations.shape[:-1], 1))

    return Algorithm(
        init=init,
        draw=lambda key, batch: jax.random.normal(key, batch.rewards.shape),
        update=update,
        policy_params=lambda state: state["weight"],
        act=act,
    )


def make_dataset():
    """Six rows in two trajectories, with rewards -1 to -6; those of online rows are positive."""
    observations = np.arange(12.0).reshape(6, 2)
    observations[3:] += 100.0
    return OfflineDataset.from_arrays(
        observations=observations,
        actions=np.zeros((6, 1)),
        rewards=-np.arange(1.0, 7.0),
        masks=np.ones(6),
        next_observations=observations + 2.0,
    )


def fine_tuner(
    dataset, *, seeds=(0,), mode="all", capacity=50, num_steps=30, layout=None, algorithm=None, states=None,
    columns=None, **protocol
):  # fmt: skip
    protocol = Protocol(**{"warmup_steps": 3, "batch_size": 8} | protocol)
    algorithm = algorithm or make_diary(protocol.batch_size)
    columns = algorithm.columns if columns is None else columns
    prepared = prepare(dataset, normalize_states=False, columns=columns)
    trusted = np.ones(len(dataset), np.float32)
    rows = kept_rows(mode, dataset, part_k=1)
    buffer = make_buffer(mode, rows, prepared, trusted, capacity=capacity, num_steps=num_steps)
    if states is None:
        states = loop.initial_states(algorithm, seeds, choose_layout(len(seeds)), 2, 1)
        states = jax.tree.map(lambda leaf: leaf[: len(seeds)], jax.device_get(states))
    return FineTuner(
        algorithm, states, prepared, buffer, Scripted,
        seeds=seeds, num_steps=num_steps, protocol=protocol, first_update=100, layout=layout,
    )  # fmt: skip
