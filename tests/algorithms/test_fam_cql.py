"""FamCQL: whole updates against NumPy, who sees what, its limit case of CQL, acting, and how it starts."""

import itertools

import jax
import numpy as np
import pytest

from ssar_jax.algorithms import cql, fam_cql
from ssar_jax.coefficients import constant
from ssar_jax.networks import balance
from tests.algorithms import small_cql
from tests.algorithms.small_cql import BATCH, make_batch
from tests.algorithms.small_fam_cql import (
    NETWORKS,
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
from tests.algorithms.small_td3_bc import assert_close, equal, to_rounding_or_exactly
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
        assert_close(state.actor, reference.actor, atol=1e-9)
        assert_close(state.balance, reference.balance, atol=1e-9)
        assert_close(state.critics, tuple(reference.critics), atol=1e-9)
        assert_close(state.target_critics, tuple(reference.targets), atol=1e-9)
        assert state.log_temperature == pytest.approx(reference.log_temperature, abs=1e-9)


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
    """A draw that only one loss sees changes one network: no gradient of it arrives anywhere else."""
    state, draws, others = make_state(), make_draws(), make_draws(9)
    # Second moments of 1: from zero ones a first step would show the gradient's sign alone.
    opts = {name: _warmed(getattr(state, name)) for name in state._fields if name.endswith("_opt")}
    state = state._replace(**opts)
    plain, _ = run(phase, state, draws=draws)
    for name, reached in REACHES[phase].items():
        after, _ = run(phase, state, draws=draws._replace(**{name: getattr(others, name)}))
        changed = {part for part in NETWORKS[:3] if not equal(getattr(after, part), getattr(plain, part))}
        assert changed == reached, name
        assert (after.log_temperature != plain.log_temperature) == ("actor" in reached), name


def _warmed(opt_state):
    adam, *rest = opt_state
    return (adam._replace(nu=jax.tree.map(np.ones_like, adam.nu)), *rest)


def _six_more(observations):
    """Observations with the embedding of 1 behind them."""
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


def test_with_one_coefficient_it_is_cql():
    """A range of [1, 1], no LayerNorm: a step of CQL whose observations hold the embedding of 1."""
    state, draws = make_state(), make_draws()._replace(coefficients=np.ones(len(BATCH.rewards)))
    after, metrics = run("offline", state, draws=draws, low=1.0, high=1.0, critic_learning_rate=RATE)
    hp = small_cql.LOCOMOTION._replace(
        **{name: NUMBERS[name] for name in ("discount", "tau", "actor_learning_rate")}, critic_learning_rate=RATE
    )
    algorithm = cql.make(2, constant.make(NUMBERS["penalty_weight"]), hp)
    batch = BATCH._replace(
        observations=_six_more(BATCH.observations), next_observations=_six_more(BATCH.next_observations)
    )
    cql_draws = cql.CQLDraws(*(getattr(draws, name) for name in cql.CQLDraws._fields))
    with jax.enable_x64(True):
        start = algorithm.init(jax.random.key(0), *batch[:2])
        start = start._replace(
            actor=state.actor,
            critics=_wider(state.critics),
            target_critics=_wider(state.target_critics),
            log_temperature=state.log_temperature,
        )
        update = jax.jit(algorithm.update, static_argnames="phase")
        other, cql_metrics = update(start, batch, cql_draws, step=1, annealing=1.0, phase="offline")
    assert_close(after.actor, other.actor, atol=1e-12)
    assert_close(after.critics, _narrower(as_numpy(other.critics)), atol=1e-12)
    assert after.log_temperature == pytest.approx(float(other.log_temperature), abs=1e-12)
    for name in ("actor/loss", "critic/loss", "critic/td_loss_1", "critic/penalty_2", "critic/target_mean"):
        assert metrics[name] == pytest.approx(float(cql_metrics[name].total), rel=1e-12), name


def test_the_actors_loss_is_linear_in_coefficient_and_temperature():
    """For a policy that does not look at its embedding: both times 3 give three times the loss."""
    state, draws = make_state(), make_draws()
    kernel = state.actor["layer0"]["kernel"].copy()
    kernel[2:] = 0.0
    state = state._replace(actor={**state.actor, "layer0": {**state.actor["layer0"], "kernel": kernel}})
    hotter = state._replace(log_temperature=state.log_temperature + np.log(3.0))
    one = run("offline", state, draws=draws)[1]["actor/loss"]
    three = run("offline", hotter, draws=draws._replace(coefficients=3.0 * draws.coefficients))[1]["actor/loss"]
    assert three == pytest.approx(3.0 * one, rel=1e-12)
    assert abs(one) > 0.01


@to_rounding_or_exactly(1e-14)
def test_the_coefficient_at_the_next_state(tolerance):
    """Chosen there it changes the critics alone, and nothing where the balance network chooses alike everywhere."""
    state = make_state()
    here, there = (run("offline", state, next_coefficient=name)[0] for name in ("current", "next"))
    assert not equal(here.critics[0], there.critics[0])
    assert_close([here.actor, here.balance], [there.actor, there.balance], atol=tolerance)
    last = {**state.balance["layer2"], "kernel": np.zeros_like(state.balance["layer2"]["kernel"])}
    alike = state._replace(balance={**state.balance, "layer2": last})
    here, there = (run("offline", alike, next_coefficient=name)[0] for name in ("current", "next"))
    assert_close(here.critics, there.critics, atol=1e-12)


def test_acting():
    """The member of the family is that of the balance network's mode, whether the action is a sample or a mode."""
    state, algorithm, key = make_state(), fam_cql.make(2, SIZES), jax.random.key(4)
    params = algorithm.policy(state)
    chosen = deterministic_coefficients(as_numpy(state.balance), BATCH.observations)
    assert np.ptp(chosen) > 0.1
    inputs = np.concatenate([BATCH.observations, embed(chosen)], axis=-1)
    mean, raw = np.split(mlp(as_numpy(state.actor), inputs), 2, axis=-1)
    log_std = state.actor["log_std_multiplier"] * raw + state.actor["log_std_offset"]
    with jax.enable_x64(True):
        noise = np.asarray(jax.random.normal(key, mean.shape))
        for given, expected in ((None, np.tanh(mean)), (key, np.tanh(mean + np.exp(log_std) * noise))):
            np.testing.assert_allclose(algorithm.act(params, BATCH.observations, given), expected, atol=1e-12)
        one = algorithm.act(params, BATCH.observations[0], None)
        np.testing.assert_allclose(one, np.tanh(mean)[0], atol=1e-12)
        np.testing.assert_allclose(algorithm.diagnose(state, BATCH.observations)["balance"], chosen, atol=1e-12)


def test_draws():
    """Coefficients fill their range; nothing is drawn twice."""
    draws = fam_cql.make(2, SIZES).draw(jax.random.key(0), make_batch(0, np.float32))
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
    state = fam_cql.make(3).init(jax.random.key(0), observations, actions)
    assert equal(state.target_critics, state.critics)
    assert float(state.log_temperature) == 0.0
    for params, inputs, outputs in (
        *((critic, 14, 1) for critic in state.critics),
        (state.actor, 17, 6),
        (state.balance, 11, 2),
    ):
        kernels = [np.asarray(params[f"layer{i}"]["kernel"]) for i in range(3)]
        assert [kernel.shape for kernel in kernels] == [(inputs, 256), (256, 256), (256, outputs)]
        for kernel in kernels[:2]:
            # Of 2,816 draws and more; the standard deviation of their own is 1.3 %.
            assert np.std(kernel) == pytest.approx(1.0 / np.sqrt(kernel.shape[0]), rel=0.06)
        assert 0.0105 < np.max(np.abs(kernels[2])) < 0.010826
        assert all(np.all(params[f"layer{i}"]["bias"] == 0.0) for i in range(3))
    first, second = state.critics
    assert not np.array_equal(first["layer0"]["kernel"], second["layer0"]["kernel"])
    assert {"layernorm0", "layernorm1"} < first.keys()
    assert "layernorm0" not in state.actor
    for params in (state.actor, state.balance):
        assert (float(params["log_std_multiplier"]), float(params["log_std_offset"])) == (1.0, -1.0)
