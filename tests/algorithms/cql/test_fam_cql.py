"""FamCQL: updates against NumPy, which draw reaches which network, CQL as its limit, acting, the initial state."""

import itertools
import math

import jax
import numpy as np
import pytest

from ssar_jax.algorithms import cql, fam_cql
from ssar_jax.coefficients.constant import constant
from ssar_jax.errors import UserError
from ssar_jax.networks import balance
from tests.algorithms.cql import small_cql
from tests.algorithms.cql.small_cql import BATCH, make_batch
from tests.algorithms.cql.small_fam_cql import (
    NUMBERS,
    RATE,
    SIZES,
    NumpyFamCQL,
    deterministic_coefficients,
    embed,
    make_draws,
    make_state,
    run,
)
from tests.algorithms.states import with_params
from tests.algorithms.td3_bc.small_td3_bc import assert_close, equal, to_rounding_or_exactly, warmed
from tests.networks.numpy_networks import as_numpy, mlp

# b, then sine and cosine of b, b / 21.544347 and b / 464.15888.
GOLDEN = [
    (0.5, 0.47942554, 0.87758256, 0.02320586, 0.99973071, 0.00107722, 0.99999942),
    (1.0, 0.84147098, 0.54030231, 0.04639922, 0.99892298, 0.00215443, 0.99999768),
    (1.5, 0.99749499, 0.07073720, 0.06956760, 0.99757724, 0.00323165, 0.99999478),
    (-0.5, -0.47942554, 0.87758256, -0.02320586, 0.99973071, -0.00107722, 0.99999942),
]


def test_embedding():
    """To the last of eight digits, of single coefficients and of arrays."""
    table = np.array(GOLDEN)
    with jax.enable_x64(True):
        np.testing.assert_allclose(balance.embed(table[:, 0]), table[:, 1:], rtol=0, atol=5.1e-9)
        np.testing.assert_allclose(balance.embed(np.float64(1.5)), balance.embed(table[:, 0])[2], rtol=1e-15)
        many = np.asarray(balance.embed(np.linspace(-0.5, 1.5, 40).reshape(4, 10)))
    np.testing.assert_allclose(np.sum(many.reshape(4, 10, 3, 2) ** 2, axis=-1), 1.0, rtol=1e-14)


@pytest.mark.parametrize(("name", "ends"), [("official", (-0.5, 0.5, 1.5)), ("intended", (0.5, 1.0, 1.5))])
def test_range_of_the_coefficients(name, ends):
    """Tanh outputs of -1, 0 and 1: u + 0.5, or (u + 1) / 2 + 0.5."""
    np.testing.assert_array_equal(balance.to_coefficients(np.array([-1.0, 0.0, 1.0]), 0.5, 1.5, name), ends)


def test_four_updates_agree_with_numpy():
    """Two offline, two online, in double precision: losses, norms and all parameters."""
    state = make_state()
    reference = NumpyFamCQL(state)
    for i, phase in enumerate(["offline", "offline", "online", "online"]):
        batch, draws = make_batch(i), make_draws(i)
        state, metrics = run(phase, state, batch, draws)
        for name, expected in reference.update(batch, draws, phase).items():
            assert metrics[name] == pytest.approx(float(expected), abs=1e-10, rel=1e-10), name
        assert metrics["balance/grad_norm"] > 1e-3  # its units are alive
        assert_close(state.actor.params, reference.actor, atol=1e-9)
        assert_close(state.balance.params, reference.balance, atol=1e-9)
        assert_close(state.critics.params, tuple(reference.critics), atol=1e-9)
        assert_close(state.target_critics, tuple(reference.targets), atol=1e-9)
        assert state.temperature.params == pytest.approx(reference.log_temperature, abs=1e-9)


# Which draws reach which networks within one update.
REACHES = {
    "offline": {
        "balance": {"balance", "critics"},  # the critics through the policy at the next state
        "coefficients": {"actor", "critics"},
        "actions": {"actor"},
        "balanced_actions": {"balance"},
        "target_actions": {"critics"},
        "uniform": {"critics"},
        "current": {"critics"},
        "following": {"critics"},
    },
}
REACHES["online"] = REACHES["offline"] | {"balance": {"actor", "balance", "critics"}, "coefficients": set()}


@pytest.mark.parametrize("phase", ["offline", "online"])
def test_each_loss_trains_its_own_network(phase):
    """A draw that only one loss uses changes one network: its gradient reaches no other."""
    state, draws, others = make_state(), make_draws(), make_draws(9)
    # Second moments of 1: from zero ones a first step would show only the gradient's sign.
    networks = {
        name: getattr(state, name)._replace(opt_state=warmed(getattr(state, name).opt_state))
        for name in ("actor", "balance", "critics", "temperature")
    }
    state = state._replace(**networks)
    plain, _ = run(phase, state, draws=draws)
    for name, reached in REACHES[phase].items():
        after, _ = run(phase, state, draws=draws._replace(**{name: getattr(others, name)}))
        changed = {
            part
            for part in ("actor", "balance", "critics")
            if not equal(getattr(after, part).params, getattr(plain, part).params)
        }
        assert changed == reached, name
        assert (after.temperature.params != plain.temperature.params) == ("actor" in reached), name


def _six_more(observations):
    """Observations followed by the embedding of 1."""
    return np.concatenate([observations, np.repeat(embed(np.ones(1)), len(observations), axis=0)], axis=1)


def _wider(critics):
    """Critics that ignore the six inputs between observation and action."""

    def widen(kernel):
        return np.concatenate([kernel[:2], np.zeros((6, kernel.shape[1])), kernel[2:]])

    return tuple({**p, "layer0": {**p["layer0"], "kernel": widen(p["layer0"]["kernel"])}} for p in critics)


def _narrower(critics):
    """The same critics without these inputs."""
    return tuple(
        {**p, "layer0": {**p["layer0"], "kernel": np.delete(p["layer0"]["kernel"], range(2, 8), axis=0)}}
        for p in critics
    )


@pytest.mark.slow
def test_with_one_coefficient_it_is_cql():
    """A range of [1, 1], no LayerNorm: a step of CQL whose observations hold the embedding of 1."""
    state, draws = make_state(), make_draws()._replace(coefficients=np.ones(len(BATCH.rewards)))
    after, metrics = run("offline", state, draws=draws, low=1.0, high=1.0, critic_learning_rate=RATE)
    config = small_cql.LOCOMOTION._replace(
        **{name: NUMBERS[name] for name in ("discount", "tau", "actor_learning_rate")}, critic_learning_rate=RATE
    )
    algorithm = cql.cql(2, constant(NUMBERS["penalty_weight"]), config=config)
    batch = BATCH._replace(
        observations=_six_more(BATCH.observations), next_observations=_six_more(BATCH.next_observations)
    )
    cql_draws = cql.CQLDraws(*(getattr(draws, name) for name in cql.CQLDraws._fields))
    with jax.enable_x64(True):
        start = algorithm.init(jax.random.key(0), *batch[:2])
        start = with_params(
            start,
            actor=state.actor.params,
            critics=_wider(state.critics.params),
            target_critics=_wider(state.target_critics),
            temperature=state.temperature.params,
        )
        update = jax.jit(algorithm.update, static_argnames="phase")
        other, cql_metrics = update(start, batch, cql_draws, step=1, annealing=1.0, phase="offline")
    assert_close(after.actor.params, other.actor.params, atol=1e-12)
    assert_close(after.critics.params, _narrower(as_numpy(other.critics.params)), atol=1e-12)
    assert after.temperature.params == pytest.approx(float(other.temperature.params), abs=1e-12)
    for name in ("actor/loss", "critic/loss", "critic/td_loss_1", "critic/penalty_2", "critic/target_mean"):
        assert metrics[name] == pytest.approx(float(cql_metrics[name].total), rel=1e-12), name


def test_the_actors_loss_is_linear_in_coefficient_and_temperature():
    """For a policy that ignores its embedding: tripling both triples the loss."""
    state, draws = make_state(), make_draws()
    params = state.actor.params
    kernel = params["layer0"]["kernel"].copy()
    kernel[2:] = 0.0
    state = with_params(state, actor={**params, "layer0": {**params["layer0"], "kernel": kernel}})
    hotter = with_params(state, temperature=state.temperature.params + np.log(3.0))
    one = run("offline", state, draws=draws)[1]["actor/loss"]
    three = run("offline", hotter, draws=draws._replace(coefficients=3.0 * draws.coefficients))[1]["actor/loss"]
    assert three == pytest.approx(3.0 * one, rel=1e-12)
    assert abs(one) > 0.01


@to_rounding_or_exactly(1e-14)
def test_the_coefficient_at_the_next_state(tolerance):
    """Chosen at s' it changes only the critics, and nothing if the balance network chooses the same in all states."""
    state = make_state()
    here, there = (run("offline", state, next_coefficient=name)[0] for name in ("current", "next"))
    assert not equal(here.critics.params[0], there.critics.params[0])
    assert_close([here.actor.params, here.balance.params], [there.actor.params, there.balance.params], atol=tolerance)
    params = state.balance.params
    last = {**params["layer2"], "kernel": np.zeros_like(params["layer2"]["kernel"])}
    alike = with_params(state, balance={**params, "layer2": last})
    here, there = (run("offline", alike, next_coefficient=name)[0] for name in ("current", "next"))
    assert_close(here.critics.params, there.critics.params, atol=1e-12)


def test_acting():
    """The balance network's mode chooses the member of the family, whether the action is a sample or a mode."""
    state, algorithm, key = make_state(), fam_cql.fam_cql(2, config=SIZES), jax.random.key(4)
    params = algorithm.policy_params(state)
    chosen = deterministic_coefficients(as_numpy(state.balance.params), BATCH.observations)
    assert np.ptp(chosen) > 0.1
    inputs = np.concatenate([BATCH.observations, embed(chosen)], axis=-1)
    actor = as_numpy(state.actor.params)
    mean, raw = np.split(mlp(actor, inputs), 2, axis=-1)
    log_std = actor["log_std_multiplier"] * raw + actor["log_std_offset"]
    with jax.enable_x64(True):
        noise = np.asarray(jax.random.normal(key, mean.shape))
        for given, expected in ((None, np.tanh(mean)), (key, np.tanh(mean + np.exp(log_std) * noise))):
            np.testing.assert_allclose(algorithm.act(params, BATCH.observations, given), expected, atol=1e-12)
        one = algorithm.act(params, BATCH.observations[0], None)
        np.testing.assert_allclose(one, np.tanh(mean)[0], atol=1e-12)
        np.testing.assert_allclose(algorithm.diagnose(state, BATCH.observations)["balance"], chosen, atol=1e-12)


def test_draws():
    """Coefficients fill their range; nothing is drawn twice."""
    draws = fam_cql.fam_cql(2, config=SIZES).draw(jax.random.key(0), make_batch(0, np.float32))
    shapes = jax.tree.map(np.shape, make_draws())
    assert jax.tree.map(np.shape, draws) == shapes
    assert 0.5 < np.min(draws.coefficients) < 0.7
    assert 1.3 < np.max(draws.coefficients) < 1.5
    assert -1.0 < np.min(draws.uniform) < -0.8
    for one, other in itertools.combinations(draws, 2):
        assert one.shape != other.shape or not np.array_equal(one, other)


def test_initial_state():
    """LeCun's hidden kernels, output kernels within sqrt(0.03 / 256) = 0.010825, no biases, 11 + 6 inputs."""
    observations, actions = np.zeros((1, 11), np.float32), np.zeros((1, 3), np.float32)
    state = fam_cql.fam_cql(3).init(jax.random.key(0), observations, actions)
    actor, balance_net, critics = state.actor.params, state.balance.params, state.critics.params
    assert equal(state.target_critics, critics)
    assert float(state.temperature.params) == 0.0
    for params, inputs, outputs in (
        *((critic, 14, 1) for critic in critics),
        (actor, 17, 6),
        (balance_net, 11, 2),
    ):
        kernels = [np.asarray(params[f"layer{i}"]["kernel"]) for i in range(3)]
        assert [kernel.shape for kernel in kernels] == [(inputs, 256), (256, 256), (256, outputs)]
        for kernel in kernels[:2]:
            # Of at least 2,816 draws; the relative standard error is 1.3 %.
            assert np.std(kernel) == pytest.approx(1.0 / np.sqrt(kernel.shape[0]), rel=0.06)
        assert 0.0105 < np.max(np.abs(kernels[2])) < 0.010826
        assert all(np.all(params[f"layer{i}"]["bias"] == 0.0) for i in range(3))
    first, second = critics
    assert not np.array_equal(first["layer0"]["kernel"], second["layer0"]["kernel"])
    assert {"layernorm0", "layernorm1"} < first.keys()
    assert "layernorm0" not in actor
    for params in (actor, balance_net):
        assert (float(params["log_std_multiplier"]), float(params["log_std_offset"])) == (1.0, -1.0)


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (-0.1, 1.5, "low=-0.1 must be zero or more"),
        (0.5, math.nan, "high=nan must be zero or more"),
        (math.inf, 1.5, "low=inf must be finite"),
        (0.5, math.inf, "high=inf must be finite"),
        (2.0, 1.5, "low=2.0 must be at most high=1.5"),
    ],
)
def test_a_range_of_coefficients_that_is_none_is_refused(low, high, message):
    with pytest.raises(UserError, match=f"^{message}$"):
        fam_cql.fam_cql(3, fam_cql.FamCQLConfig(low=low, high=high))
