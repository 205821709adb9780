"""What the library refuses: impossible hyperparameters, shapes that would broadcast, states of other seeds."""

import jax
import numpy as np
import pytest

from ssar_jax import (
    AWACConfig,
    CQLConfig,
    EDACConfig,
    FamCQLConfig,
    IQLConfig,
    ReBRACConfig,
    SACConfig,
    SPOTConfig,
    TD3BCConfig,
    awac,
    cal_ql,
    cql,
    edac,
    fam_cql,
    iql,
    rebrac,
    sac,
    spot,
    state_adaptive,
    td3_bc,
)
from ssar_jax.types import Batch
from tests.data.helpers import user_error
from tests.training import small_sa
from tests.training.small_tuner import fine_tuner, make_dataset

SMALL = (4,)
CONSTRUCTORS = {
    "td3_bc": (td3_bc, TD3BCConfig(critic_hidden_sizes=SMALL, actor_hidden_sizes=SMALL)),
    "cql": (cql, CQLConfig(actor_hidden_sizes=SMALL, critic_hidden_sizes=(SMALL, SMALL), num_actions=2)),
    "cal_ql": (cal_ql, CQLConfig(actor_hidden_sizes=SMALL, critic_hidden_sizes=(SMALL, SMALL), num_actions=2)),
    "iql": (iql, IQLConfig(hidden_sizes=SMALL)),
    "spot": (spot, SPOTConfig(critic_hidden_sizes=SMALL, actor_hidden_sizes=SMALL, density_hidden_sizes=SMALL)),
    "fam_cql": (
        fam_cql,
        FamCQLConfig(actor_hidden_sizes=SMALL, balance_hidden_sizes=SMALL, critic_hidden_sizes=SMALL, num_actions=2),
    ),
    "sac": (sac, SACConfig(hidden_sizes=SMALL)),
    "rebrac": (rebrac, ReBRACConfig(critic_hidden_sizes=SMALL, actor_hidden_sizes=SMALL, critic_penalty=0.0)),
    "awac": (awac, AWACConfig(hidden_sizes=SMALL)),
    "edac": (edac, EDACConfig(actor_hidden_sizes=SMALL, critic_hidden_sizes=SMALL, num_critics=2)),
}


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_constructors_refuse_impossible_hyperparameters(name):
    constructor, config = CONSTRUCTORS[name]
    constructor(2, config=config)
    with user_error("tau=7 must be above 0 and at most 1"):
        constructor(2, config=config._replace(tau=7))
    with user_error("discount=1.5 must be between 0 and 1"):
        constructor(2, config=config._replace(discount=1.5))


def test_a_coefficient_refuses_impossible_numbers():
    with user_error("max_ratio=0.5 must be larger than 1"):
        state_adaptive(0.4, max_ratio=0.5)


BATCH = Batch(
    observations=np.zeros((6, 3), np.float32),
    actions=np.zeros((6, 2), np.float32),
    rewards=np.zeros(6, np.float32),
    masks=np.ones(6, np.float32),
    next_observations=np.zeros((6, 3), np.float32),
    trusted=np.ones(6, np.float32),
    extras={"returns_to_go": np.zeros(6, np.float32)},
)
WRONG = {
    "rewards": np.zeros((6, 1), np.float32),
    "masks": np.ones((6, 1), np.float32),
    "trusted": np.ones(5, np.float32),
    "actions": np.zeros((6, 3), np.float32),
    "next_observations": np.zeros((6, 4), np.float32),
    "observations": np.zeros(6, np.float32),
}


# Every column for one algorithm, and the rewards for all of them: tracing takes time.
@pytest.mark.parametrize(
    ("name", "column"), [("td3_bc", column) for column in WRONG] + [(name, "rewards") for name in CONSTRUCTORS]
)
def test_updates_refuse_columns_that_would_broadcast(name, column):
    """Traced, not run: rewards [B, 1] and values [B] would give a loss over [B, B]."""
    constructor, config = CONSTRUCTORS[name]
    algorithm = constructor(2, config=config)
    state = jax.eval_shape(algorithm.init, jax.random.key(0), BATCH.observations, BATCH.actions)
    draws = jax.eval_shape(algorithm.draw, jax.random.key(0), BATCH)

    def trace(batch):
        return jax.eval_shape(
            lambda state, draws: algorithm.update(state, batch, draws, step=1, annealing=1.0, phase="offline"),
            state,
            draws,
        )

    trace(BATCH)
    with pytest.raises(AssertionError, match="must be"):
        trace(BATCH._replace(**{column: WRONG[column]}))


def test_fine_tuning_refuses_states_of_other_seeds():
    """States of two seeds and one seed named."""
    two = fine_tuner(make_dataset(), seeds=(0, 1), algorithm=small_sa.make_base(1))
    states = two.states()
    with user_error("the states have 2 seeds, but seeds=[0] has 1"):
        fine_tuner(make_dataset(), seeds=(0,), algorithm=small_sa.make_base(1), states=states)
