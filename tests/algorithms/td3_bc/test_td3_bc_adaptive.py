"""The state-adaptive coefficient inside TD3+BC: what it changes, and what it must not change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.algorithms import td3_bc
from ssar_jax.coefficients.constant import constant
from ssar_jax.coefficients.state_adaptive import state_adaptive
from tests.algorithms.states import with_params
from tests.algorithms.td3_bc.small_td3_bc import (
    BATCH,
    NOISE,
    SIZES,
    SMALL,
    assert_close,
    equal,
    make_batch,
    make_state,
    warmed,
)
from tests.networks.numpy_networks import as_numpy, norm


def adaptive(**options):
    return state_adaptive(0.4, hidden_sizes=(3,), **options)


@pytest.fixture(scope="module")
def state():
    """Random networks with warm optimizers around a coefficient network whose last kernel is zero."""
    start = make_state(adaptive())
    rng = np.random.default_rng(3)
    params = {
        "layer0": {"kernel": np.float32(rng.normal(size=(2, 3))), "bias": np.ones(3, np.float32)},
        "layer1": {"kernel": np.zeros((3, 1), np.float32), "bias": np.float32([0.6931])},
    }
    coefficient = with_params(start.coefficient, network=params)
    return start._replace(
        coefficient=coefficient._replace(n=np.float32(1.0), active=np.array(True)),
        actor=start.actor._replace(opt_state=warmed(start.actor.opt_state)),
        critics=start.critics._replace(opt_state=warmed(start.critics.opt_state)),
    )


def test_a_frozen_coefficient_is_the_base_algorithm(state):
    """beta(s) = 1.5 * 0.4 * sigmoid(0.6931) = 0.3999937 for all states, all rows trusted, rate 0."""
    value = 0.4 * 1.5 / (1.0 + np.exp(-0.6931))
    update = jax.jit(td3_bc.td3_bc(2, adaptive(learning_rate=0.0), config=SMALL).update, static_argnames="phase")
    base_update = jax.jit(td3_bc.td3_bc(2, constant(value), config=SMALL).update, static_argnames="phase")
    base, sa = state._replace(coefficient=()), state
    for step in range(1, 5):
        batch, noise = make_batch(step)
        batch = batch._replace(trusted=np.ones_like(batch.trusted))
        base, metrics = base_update(base, batch, noise, step=step, annealing=1.0, phase="offline")
        sa, sa_metrics = update(sa, batch, noise, step=step, annealing=1.0, phase="offline")
        np.testing.assert_allclose(sa_metrics["actor/loss"].total, metrics["actor/loss"].total, atol=1e-6)
    assert_close(base, sa._replace(coefficient=()))
    assert equal(sa.coefficient.network.params, state.coefficient.network.params)


def test_no_loss_trains_another_losses_network(state):
    """Critics and actor get nothing from the coefficient's loss, the coefficient nothing from theirs."""
    algorithm = td3_bc.td3_bc(2, adaptive(), config=SIZES)

    def losses(phi, actor, critics):
        start = with_params(
            state, actor=actor, critics=critics, coefficient=with_params(state.coefficient, network=phi)
        )
        metrics = algorithm.update(start, BATCH, NOISE, step=jnp.int32(2), annealing=1.0, phase="offline")[1]
        return {name: metrics[name].total for name in ("critic/loss", "actor/loss", "coefficient/loss")}

    # [loss][argument]: whole trees of derivatives.
    networks = state.coefficient.network.params, state.actor.params, state.critics.params
    jacobian = jax.jit(jax.jacrev(losses, argnums=(0, 1, 2)))(*networks)
    trained = {
        (loss, i): norm(as_numpy(tree)) != 0.0 for loss, trees in jacobian.items() for i, tree in enumerate(trees)
    }
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(jacobian))
    phi, actor, critics = 0, 1, 2
    assert trained == {
        ("critic/loss", phi): False,
        ("critic/loss", actor): False,
        ("critic/loss", critics): True,
        ("actor/loss", phi): False,
        ("actor/loss", actor): True,
        ("actor/loss", critics): True,  # it sees them; test_td3_bc.py shows that it does not train them
        ("coefficient/loss", phi): True,
        ("coefficient/loss", actor): False,
        ("coefficient/loss", critics): False,
    }


def test_the_masks_reach_what_they_name(state):
    """Which networks notice the sub-dataset: the coefficient through one flag, the actor through the other."""
    flags = [(True, True), (True, False), (False, True), (False, False)]
    config = SIZES._replace(policy_freq=1)

    @jax.jit
    @jax.vmap
    def updates(trusted):
        def one(mask_coefficient, mask_regularizer):
            coefficient = adaptive(
                learning_rate=0.1, mask_coefficient=mask_coefficient, mask_regularizer=mask_regularizer
            )
            update = td3_bc.td3_bc(2, coefficient, config=config).update
            batch = BATCH._replace(trusted=trusted)
            return update(state, batch, NOISE, step=1, annealing=1.0, phase="offline")[0]

        return [one(*pair) for pair in flags]

    def notices(tree):
        return not all(bool(np.array_equal(leaf[0], leaf[1])) for leaf in jax.tree.leaves(tree))

    results = updates(np.stack([np.ones_like(BATCH.trusted), BATCH.trusted]))
    for (mask_coefficient, mask_regularizer), after in zip(flags, results, strict=True):
        assert notices(after.coefficient.network.params) is mask_coefficient
        assert notices(after.actor.params) is mask_regularizer
        assert not notices(after.critics.params)


def test_online_the_coefficient_is_frozen_and_the_delay_its_own(state):
    config = SIZES._replace(policy_freq=2, online_policy_freq=3)
    update = jax.jit(td3_bc.td3_bc(2, adaptive(learning_rate=0.1), config=config).update, static_argnames="phase")
    at_two, _ = update(state, BATCH, NOISE, step=2, annealing=1.0, phase="online")
    at_three, metrics = update(state, BATCH, NOISE, step=3, annealing=1.0, phase="online")
    assert equal(at_two.actor, state.actor)
    assert not equal(at_three.actor.params, state.actor.params)
    assert equal(at_three.coefficient, state.coefficient)
    assert not any(name.startswith("coefficient/") for name in metrics)
