"""TD3+BC and TD3+BC(SA) against the authors' program, through the update function that trains."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ssar_jax.algorithms import td3_bc
from ssar_jax.algorithms.td3_steps import smoothed_target_actions
from ssar_jax.coefficients.constant import constant
from ssar_jax.coefficients.state_adaptive import state_adaptive
from ssar_jax.coefficients.trust_region import deterministic_slack
from ssar_jax.networks.actors import DeterministicActor
from ssar_jax.networks.coefficient import CoefficientNet
from ssar_jax.networks.critics import Critic, make_ensemble
from ssar_jax.ops.losses import td_target
from ssar_jax.ops.optimizers import clip_factor
from tests.algorithms.conformance import Vectors, cases
from tests.algorithms.states import with_params
from tests.golden_vectors import golden_files

FILES = golden_files("td3_bc_")
SLOW = ("td3_bc_sa_cap", "td3_bc_sa_increase", "td3_bc_sa_noloosen", "td3_bc_sa_online_nodecay")


@pytest.fixture(params=[pytest.param(np.float32, marks=pytest.mark.slow), np.float64], ids=["float32", "float64"])
def dtype(request):
    with jax.enable_x64(request.param == np.float64):
        yield request.param


def sizes(params):
    """Hidden widths, read from the biases; the last layer is the output."""
    depth = sum(f"layer{i}" in params for i in range(len(params)))
    return tuple(params[f"layer{i}"]["bias"].shape[0] for i in range(depth - 1))


def build(vectors):
    """The coefficient and the hyperparameters of the file."""
    h = vectors.hyper
    assert h("max_action") == 1.0, "the library scales actions to [-1, 1]"
    coefficient = state_adaptive(
        1.0 / h("alpha"),
        hidden_sizes=sizes(vectors.params("beta")),
        learning_rate=h("beta_lr"),
        n_start=h("min_n_away"),
        n_end=h("max_n_away"),
        n_period=h("update_period"),
        mask_coefficient=bool(h("select_actions")),
        mask_regularizer=bool(h("loosen_bound")),
    )
    config = td3_bc.TD3BCConfig(
        discount=h("discount"),
        tau=h("tau"),
        critic_hidden_sizes=sizes(vectors.params("critic_1")),
        critic_learning_rate=h("critic_lr"),
        actor_hidden_sizes=sizes(vectors.params("actor")),
        actor_learning_rate=h("actor_lr"),
        policy_freq=h("policy_freq"),
        online_policy_freq=h("policy_freq"),
        policy_noise=h("policy_noise"),
        noise_clip=h("noise_clip"),
        delta=h("expl_noise"),
    )
    return coefficient, config


def starting_state(vectors, algorithm):
    """The file's parameters; all else starts at zero."""
    shapes = jax.eval_shape(
        algorithm.init,
        jax.random.key(0),
        jnp.zeros((1, vectors.hyper("obs_dim"))),
        jnp.zeros((1, vectors.hyper("act_dim"))),
    )
    state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    state = with_params(
        state,
        actor=vectors.params("actor"),
        target_actor=vectors.params("actor_target"),
        critics=tuple(vectors.params(f"critic_{i}") for i in (1, 2)),
        target_critics=tuple(vectors.params(f"critic_{i}_target") for i in (1, 2)),
    )
    if state.coefficient:
        coefficient = with_params(state.coefficient, network=vectors.params("beta"))
        coefficient = coefficient._replace(
            n=jnp.asarray(vectors.start("n_away"), vectors.dtype),
            active=jnp.asarray(bool(vectors.start("schedule_active"))),
        )
        state = state._replace(coefficient=coefficient)
    # Adam's moments start as zeros of the parameters' own width.
    return jax.tree.map(lambda leaf: leaf.astype(vectors.dtype) if leaf.dtype.kind == "f" else leaf, state)


def authors_annealing(vectors, call):
    """The authors' factor: linear and without a lower limit."""
    steps, decay = vectors.hyper(f"call{call}/online_steps"), vectors.hyper("decay_steps")
    return 1.0 - steps / decay if steps > 0 and decay > 0 else 1.0


def intermediates(vectors, config, coefficient):
    """The intermediate values of an update, from the functions that it calls, under the names in the file."""
    h = vectors.hyper
    actor = DeterministicActor(config.actor_hidden_sizes, h("act_dim"))
    critics = make_ensemble([Critic(config.critic_hidden_sizes, True)] * 2, batched=False)

    def loss(params, observations, slack, mask):
        """mean over B of mask * slack * beta, written out."""
        network = CoefficientNet(1.0 / h("alpha"), hidden_sizes=sizes(params))
        return jnp.mean(slack * mask * network.apply({"params": params}, observations))

    def compute(state, after, batch, noise, annealing):
        next_actions = smoothed_target_actions(
            actor.apply({"params": state.target_actor}, batch.next_observations),
            noise,
            config.policy_noise,
            config.noise_clip,
        )
        targets = critics.apply(state.target_critics, batch.next_observations, next_actions)
        values = critics.apply(state.critics.params, batch.observations, batch.actions)
        pi = actor.apply({"params": state.actor.params}, batch.observations)
        beta = coefficient.apply(state.coefficient, batch.observations)
        n = state.coefficient.n if state.coefficient else h("min_n_away")
        slack = deterministic_slack(pi, batch.actions, n, config.delta)
        mask = batch.trusted if h("select_actions") else jnp.ones_like(slack)
        values = {
            "next_action": next_actions,
            "target_q1": targets[0],
            "target_q2": targets[1],
            "q1": values[0],
            "q2": values[1],
            "td_target": td_target(batch.rewards, batch.masks, targets, config.discount),
            "pi": pi,
            "q_pi": critics.apply_first(after.critics.params, batch.observations, pi),
            "beta_raw": beta,
            "beta_actor": coefficient.weight(state.coefficient, batch.observations, batch.trusted, annealing),
            "beta_weight": slack,
            "n_below": jnp.sum(slack < 0),
            "beta_masked": beta * mask,
        }
        if not state.coefficient:
            return values, {}
        gradients = jax.grad(loss)(state.coefficient.network.params, batch.observations, slack, mask)
        factor = clip_factor(optax.tree.norm(gradients), 0.5)
        return values, {"beta_grad": gradients, "beta_grad_clipped": jax.tree.map(lambda g: g * factor, gradients)}

    return jax.jit(compute)


def check_metrics(vectors, call, metrics):
    """The metrics that the update reports."""

    def value(name):
        return metrics[name].total

    vectors.check(value("critic/loss"), call, "critic_loss")
    vectors.check(value("critic/grad_norm_1"), call, "grad_norm/critic_1")
    vectors.check(value("critic/grad_norm_2"), call, "grad_norm/critic_2")
    delayed = vectors.expected(call, "actor_loss") is not None
    assert metrics["actor/loss"].weight == float(delayed)
    vectors.check(value("actor/loss"), call, "actor_loss")
    vectors.check(value("actor/q_scale"), call, "lambda")
    vectors.check(value("actor/grad_norm"), call, "grad_norm/actor")
    if "coefficient/loss" not in metrics:
        return
    vectors.check(value("coefficient/loss"), call, "beta_loss")
    vectors.check(value("coefficient/grad_norm"), call, "beta_grad_norm")
    mean = vectors.expected(call, "schedule_mean")
    if mean is not None:
        assert metrics["coefficient/slack_mean"].weight == float(np.isfinite(mean))
        if np.isfinite(mean):
            vectors.check(value("coefficient/slack_mean"), call, "schedule_mean")


def check_state(vectors, call, state):
    nets = {"actor": state.actor.params, "actor_target": state.target_actor}
    nets |= {f"critic_{i + 1}": p for i, p in enumerate(state.critics.params)}
    nets |= {f"critic_{i + 1}_target": p for i, p in enumerate(state.target_critics)}
    if state.coefficient:
        nets["beta"] = state.coefficient.network.params
        vectors.check(state.coefficient.n, call, "n_away_after")
        vectors.check(state.coefficient.active, call, "schedule_active_after")
        vectors.check((state.coefficient.n * vectors.hyper("expl_noise")) ** 2, call, "threshold_after")
    for name, params in nets.items():
        vectors.check_tree(params, call, f"params/{name}")


def run(vectors, algorithm, config, coefficient):
    state = starting_state(vectors, algorithm)
    update, compute = jax.jit(algorithm.update, static_argnames="phase"), intermediates(vectors, config, coefficient)
    for call in range(1, vectors.hyper("n_calls") + 1):
        phase = "online" if vectors.hyper(f"call{call}/online_steps") > 0 else "offline"
        batch, noise = vectors.batch(call), vectors.draws(call, "smoothing_eps")
        annealing = authors_annealing(vectors, call)
        after, metrics = update(
            state, batch, noise, step=vectors.start("total_it") + call, annealing=annealing, phase=phase
        )
        values, trees = compute(state, after, batch, noise, annealing)
        for name, value in values.items():
            vectors.check(value, call, name)
        for name, tree in trees.items():
            vectors.check_tree(tree, call, name)
        check_metrics(vectors, call, metrics)
        check_state(vectors, call, after)
        state = after
    assert state.actor.params["layer0"]["kernel"].dtype == vectors.dtype
    assert vectors.compared > 50


@pytest.mark.conformance
@pytest.mark.parametrize(("path", "dtype"), cases(FILES, SLOW), indirect=["dtype"])
def test_agrees_with_the_authors(path, dtype):
    vectors = Vectors(path, dtype)
    coefficient, config = build(vectors)
    run(vectors, td3_bc.td3_bc(vectors.hyper("act_dim"), coefficient, config=config), config, coefficient)


@pytest.mark.conformance
@pytest.mark.parametrize("path", golden_files("td3_bc_base"), ids=lambda path: path.stem)
def test_the_constant_coefficient_is_the_base_algorithm(path, dtype):
    """The base vectors hold the coefficient at 1 / alpha, up to the rounding of ln 2; ours has no network at all."""
    vectors = Vectors(path, dtype)
    _, config = build(vectors)
    last_bias = float(vectors.params("beta")[f"layer{len(sizes(vectors.params('beta')))}"]["bias"][0])
    value = 1.5 / vectors.hyper("alpha") / (1.0 + math.exp(-last_bias))
    assert value == pytest.approx(1.0 / vectors.hyper("alpha"), rel=1e-8)
    coefficient = constant(value)
    run(vectors, td3_bc.td3_bc(vectors.hyper("act_dim"), coefficient, config=config), config, coefficient)
