"""CQL and CQL(SA) against the authors' program, through the update function that trains."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ssar_jax.algorithms import cql
from ssar_jax.algorithms.conservative import repeated, values_of
from ssar_jax.coefficients.state_adaptive import state_adaptive
from ssar_jax.coefficients.trust_region import FLOOR_SIZE, boundary_log_prob, stochastic_slack
from ssar_jax.networks.actors import TanhGaussianActor
from ssar_jax.networks.coefficient import CoefficientNet
from ssar_jax.ops.losses import soft_td_target
from ssar_jax.ops.optimizers import clip_factor
from tests.algorithms.conformance import Vectors, cases, rounding_of_adam
from tests.algorithms.states import with_params
from tests.golden_vectors import golden_files

FILES = golden_files("cql_")
SLOW = ("cql_sa_antmaze_equal", "cql_sa_locomotion_stop", "cql_sa_online", "cql_sa_switches")
ILL_CONDITIONED = 5e-3
"""The limit in float32 for densities near +-1 and for values computed from them: one unit in the last place of tanh
changes them by up to 2e-3, as the README of the vectors explains."""


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    with jax.enable_x64(request.param == np.float64):
        yield request.param


def sizes(params):
    depth = sum(f"layer{i}" in params for i in range(len(params)))
    return tuple(params[f"layer{i}"]["bias"].shape[0] for i in range(depth - 1))


def build(vectors):
    h = vectors.hyper
    assert h("max_action") == 1.0, "the library scales actions to [-1, 1]"
    coefficient = state_adaptive(
        h("cql_alpha"),
        hidden_sizes=sizes(vectors.params("beta")),
        learning_rate=h("beta_lr"),
        n_start=h("min_n_away"),
        n_end=h("max_n_away"),
        n_period=h("update_period"),
        mask_coefficient=bool(h("select_actions")),
        mask_regularizer=bool(h("loosen_bound")),
    )
    config = cql.CQLConfig(
        discount=h("discount"),
        tau=h("soft_target_update_rate"),
        target_update_period=h("target_update_period"),
        actor_hidden_sizes=sizes(vectors.params("actor")),
        actor_learning_rate=h("policy_lr"),
        temperature_multiplier=h("alpha_multiplier"),
        backup_entropy=bool(h("backup_entropy")),
        max_backup=bool(h("cql_max_target_backup")),
        critic_hidden_sizes=tuple(sizes(vectors.params(f"critic_{i}")) for i in (1, 2)),
        critic_learning_rate=h("qf_lr"),
        num_actions=h("cql_n_actions"),
        importance_sampling=bool(h("cql_importance_sample")),
        softmax_temperature=h("cql_temp"),
        difference_min=h("cql_clip_diff_min"),
        difference_max=h("cql_clip_diff_max"),
        lagrange=bool(h("cql_lagrange")),
        target_gap=h("cql_target_action_gap"),
        actor_bc_weight=0.5 * vectors.start("bc_term_in_actor_loss"),
        bc_steps=h("bc_steps"),
    )
    return coefficient, config


def starting_state(vectors, algorithm):
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
        critics=tuple(vectors.params(f"critic_{i}") for i in (1, 2)),
        target_critics=tuple(vectors.params(f"critic_{i}_target") for i in (1, 2)),
        temperature=jnp.asarray(vectors.start("log_alpha")),
        multiplier=jnp.asarray(vectors.start("log_alpha_prime")),
    )
    if state.coefficient:
        coefficient = with_params(
            state.coefficient,
            network=vectors.params("beta"),
            n=jnp.asarray(vectors.start("n_away")),
            active=jnp.asarray(bool(vectors.start("schedule_active"))),
        )
        state = state._replace(coefficient=coefficient)
    return jax.tree.map(lambda leaf: leaf.astype(vectors.dtype) if leaf.dtype.kind == "f" else leaf, state)


def draws(vectors, call):
    names = ("policy_eps", "target_eps", "cql_uniform", "cql_current_eps", "cql_next_eps")
    return cql.CQLDraws(*(vectors.draws(call, name) for name in names))


def authors_annealing(vectors, call):
    steps = vectors.hyper(f"call{call}/online_steps")
    return float(np.cos(np.pi / 2 * min(steps / vectors.hyper("decay_steps"), 1.0))) if steps > 0 else 1.0


def intermediates(vectors, config, coefficient):
    """The intermediate values of an update, from the functions that it calls, by their names in the file."""
    h = vectors.hyper
    actor = TanhGaussianActor(config.actor_hidden_sizes, h("act_dim"))
    critics = cql.make_critics(config, batched=False)

    def loss(params, observations, slack, mask):
        """mean over B of mask * slack * beta, written out."""
        network = CoefficientNet(h("cql_alpha"), hidden_sizes=sizes(params))
        return jnp.mean(slack * mask * network.apply({"params": params}, observations))

    def compute(state, after, batch, noise, annealing):
        critics_params = state.critics.params
        now = actor.apply({"params": state.actor.params}, batch.observations)
        following = actor.apply({"params": state.actor.params}, batch.next_observations)
        action_new, log_pi = now.sample(noise.actions)
        next_actions, next_log_pi = (repeated(following) if config.max_backup else following).sample(
            noise.target_actions
        )
        targets = values_of(critics, state.target_critics, batch.next_observations, next_actions)
        temperature = jnp.exp(state.temperature.params) * config.temperature_multiplier
        zeros, ones = jnp.zeros_like(batch.rewards), jnp.ones_like(batch.rewards)
        arguments = targets, next_log_pi
        weight = temperature if config.backup_entropy else 0.0
        current_actions, current_log_pi = repeated(now).sample(noise.current)
        following_actions, following_log_pi = repeated(following).sample(noise.following)
        data = critics.apply(critics_params, batch.observations, batch.actions)
        sampled = {
            "random": values_of(critics, critics_params, batch.observations, noise.uniform),
            "next": values_of(critics, critics_params, batch.observations, following_actions),
            "current": values_of(critics, critics_params, batch.observations, current_actions),
        }
        beta = coefficient.apply(state.coefficient, batch.observations)
        values = {
            "action_new": action_new,
            "log_pi": log_pi,
            "policy_std": jnp.exp(now.log_std),
            "q_new": jnp.min(critics.apply(critics_params, batch.observations, action_new), axis=0),
            "bc_term": jnp.sum((action_new - batch.actions) ** 2, axis=-1),
            "next_action": next_actions,
            "target_value": soft_td_target(zeros, ones, *arguments, 1.0, weight),
            "td_target": soft_td_target(batch.rewards, batch.masks, *arguments, config.discount, weight),
            "cql_current_log_pi": current_log_pi,
            "cql_next_log_pi": following_log_pi,
            "cql_current_action": current_actions,
            "cql_next_action": following_actions,
            "q1_data": data[0],
            "q2_data": data[1],
            "beta_raw": beta,
            "beta_critic": coefficient.weight(state.coefficient, batch.observations, batch.trusted, annealing),
        }
        values |= {f"cql_q{i + 1}_{kind}": q[i] for kind, q in sampled.items() for i in (0, 1)}
        if not config.max_backup:
            values["next_log_pi"] = next_log_pi
        # The coefficient sees the actor after its step.
        later = actor.apply({"params": after.actor.params}, batch.observations)
        n = state.coefficient.n if state.coefficient else h("min_n_away")
        floor = boundary_log_prob(later, FLOOR_SIZE)
        slack = stochastic_slack(later, batch.actions, n)
        densities = {
            "data_log_prob": later.log_prob(batch.actions),
            "boundary_log_prob": boundary_log_prob(later, n),
            "floor_log_prob": floor,
            "data_log_prob_floored": jnp.maximum(later.log_prob(batch.actions), floor),
            "beta_weight": slack,
        }
        mask = batch.trusted if h("select_actions") else jnp.ones_like(slack)
        values["beta_masked"] = beta * mask
        if not state.coefficient:
            return values, densities, {}
        gradients = jax.grad(loss)(state.coefficient.network.params, batch.observations, slack, mask)
        factor = clip_factor(optax.tree.norm(gradients), 0.5)
        clipped = jax.tree.map(lambda g: g * factor, gradients)
        return values, densities, {"beta_grad": gradients, "beta_grad_clipped": clipped}

    return jax.jit(compute)


def check_metrics(vectors, call, metrics, loose):
    def check(metric, name, limit=None, sign=1.0):
        vectors.check(sign * metrics[metric].total, call, name, limit)

    check("critic/loss", "q_loss")
    check("actor/loss", "policy_loss")
    check("actor/temperature", "alpha")
    check("actor/temperature_loss", "alpha_loss")
    check("actor/grad_norm", "grad_norm/actor")
    check("actor/temperature_grad_norm", "grad_norm/log_alpha")
    for i in (1, 2):
        check(f"critic/td_loss_{i}", f"td_loss_{i}")
        check(f"critic/penalty_{i}", f"cql_loss_{i}")
        check(f"critic/grad_norm_{i}", f"grad_norm/critic_{i}")
    if "critic/multiplier" in metrics:
        check("critic/multiplier", "alpha_prime")
        check("critic/multiplier_loss", "alpha_prime_loss")
        check("critic/multiplier_grad_norm", "grad_norm/log_alpha_prime")
    if "coefficient/loss" in metrics:
        check("coefficient/loss", "beta_loss", loose)
        check("coefficient/grad_norm", "beta_grad_norm", loose)
        floor, boundary = (vectors.expected(call, f"{name}_log_prob") for name in ("floor", "boundary"))
        assert float(metrics["coefficient/floor_share"].total) == pytest.approx(np.mean(floor > boundary))
        mean = vectors.expected(call, "schedule_mean")
        if mean is not None:
            assert metrics["coefficient/slack_mean"].weight == float(np.isfinite(mean))
            if np.isfinite(mean):
                check("coefficient/slack_mean", "schedule_mean", loose)


def rounding(vectors, state):
    """How far rounding can move the parameters in this call, by network."""
    slack = {"actor": rounding_of_adam(state.actor.opt_state[0].nu, vectors.hyper("policy_lr"))}
    tau = vectors.hyper("soft_target_update_rate")
    for i, moments in enumerate(state.critics.opt_state[0].nu):
        step = rounding_of_adam(moments, vectors.hyper("qf_lr"))
        slack |= {f"critic_{i + 1}": step, f"critic_{i + 1}_target": jax.tree.map(lambda size: tau * size, step)}
    return slack


def with_the_authors_params(vectors, call, state):
    """The state after a call with the parameters of the file, so that what rounding moved moves no later number."""
    names = ("actor", "critic_1", "critic_2", "critic_1_target", "critic_2_target")
    actor, *critics = (vectors.expected_tree(call, f"params/{name}") for name in names)
    return with_params(state, actor=actor, critics=tuple(critics[:2]), target_critics=tuple(critics[2:]))


def check_state(vectors, call, state):
    nets = {"actor": state.actor.params}
    nets |= {f"critic_{i + 1}": p for i, p in enumerate(state.critics.params)}
    nets |= {f"critic_{i + 1}_target": p for i, p in enumerate(state.target_critics)}
    vectors.check(state.temperature.params, call, "params/log_alpha")
    if vectors.hyper("cql_lagrange"):
        vectors.check(state.multiplier.params, call, "params/log_alpha_prime")
    if state.coefficient:
        nets["beta"] = state.coefficient.network.params
        vectors.check(state.coefficient.n, call, "n_away_after")
        vectors.check(state.coefficient.active, call, "schedule_active_after")
    slack = rounding(vectors, state) if vectors.dtype == np.float32 else {}
    for name, params in nets.items():
        vectors.check_tree(params, call, f"params/{name}", slack=slack.get(name))


def run(vectors, algorithm, config, coefficient):
    loose = ILL_CONDITIONED if vectors.dtype == np.float32 else None
    state = starting_state(vectors, algorithm)
    update, compute = jax.jit(algorithm.update, static_argnames="phase"), intermediates(vectors, config, coefficient)
    for call in range(1, vectors.hyper("n_calls") + 1):
        phase = "online" if vectors.hyper(f"call{call}/online_steps") > 0 else "offline"
        batch, noise, annealing = vectors.batch(call), draws(vectors, call), authors_annealing(vectors, call)
        after, metrics = update(state, batch, noise, step=call, annealing=annealing, phase=phase)
        values, densities, trees = compute(state, after, batch, noise, annealing)
        for name, value in values.items():
            vectors.check(value, call, name)
        for name, value in densities.items():
            vectors.check(value, call, name, loose)
        for name, tree in trees.items():
            vectors.check_tree(tree, call, name, loose)
        check_metrics(vectors, call, metrics, loose)
        check_state(vectors, call, after)
        state = with_the_authors_params(vectors, call, after) if vectors.dtype == np.float32 else after
    assert state.actor.params["layer0"]["kernel"].dtype == vectors.dtype
    assert vectors.compared > 50


@pytest.mark.conformance
@pytest.mark.parametrize(("path", "dtype"), cases(FILES, SLOW), indirect=["dtype"])
def test_agrees_with_the_authors(path, dtype):
    vectors = Vectors(path, dtype)
    coefficient, config = build(vectors)
    run(vectors, cql.cql(vectors.hyper("act_dim"), coefficient, config=config), config, coefficient)
