"""The memory of the compiled step of the online phase."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.training import loop, replay_buffer
from ssar_jax.training.layout import choose_layout, place_states, stack_keys
from ssar_jax.training.online_loop import join_outcome, make_program
from ssar_jax.transitions import Transitions
from ssar_jax.types import Average
from tests.training.small_tuner import make_diary

STEPS = 25_000


@pytest.mark.parametrize("vmapped", [False, True])
def test_a_step_does_not_copy_the_buffers(vmapped):
    """A buffer has 28 bytes per online transition and one byte per slot: at least 725,000 bytes."""
    layout, algorithm = choose_layout(1, vmapped), make_diary(8)
    buffer = replay_buffer.make_replay_buffer(kept=6, capacity=STEPS, num_steps=STEPS)
    states = loop.initial_states(algorithm, [0], layout, 2, 1)
    like = jax.tree.map(lambda leaf: leaf[0], states)
    program: Any = make_program(
        algorithm, like, buffer, layout, batch_size=8, noise=0.0, annealing=lambda number: jnp.ones(()), first_update=0
    )
    pair, one = np.zeros((1, 2), np.float32), np.zeros(1, np.float32)
    offline = jax.tree.map(lambda row: np.repeat(row, 6, axis=0), Transitions(pair, one[None], one, one, pair))
    ring = buffer.init(np.ones((1, STEPS), bool), 2, 1)
    zeros: Any = np.zeros((1, len(program.metric_names(offline))), np.float32)
    keys = stack_keys([0], layout)
    carry = program.begin(*place_states((states, ring, pair, Average(zeros, zeros)), layout), keys)
    compiled = program.step.lower(
        carry, offline, join_outcome(one, one, pair, pair), keys, np.int32([0, 0, 1])
    ).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 20_000
