"""beta(s): the learned, state-adaptive coefficient of SSAR (arXiv:2505.19923).

Its loss is E[slack * beta(s)]: where the dataset action lies inside the trust region the coefficient falls,
where it lies outside the coefficient rises. The region has size n, which grows from n_start to n_end until the
selected actions lie inside it on average.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from ssar_jax.coefficients.base import Coefficient, SlackFn
from ssar_jax.networks.coefficient import CoefficientNet
from ssar_jax.ops.optimizers import clip_by_global_norm
from ssar_jax.ops.trees import averages, gradient_step
from ssar_jax.types import Array, Average, Key, Metrics, Params


class StateAdaptiveState(NamedTuple):
    """Everything that training changes.

    Attributes:
        params: of the coefficient network; float32 or wider, for its learning rate sits at float32's resolution.
        opt_state: of Adam behind the gradient clip.
        n: scalar, size of the trust region.
        active: scalar bool, whether n may still grow.
    """

    params: Params
    opt_state: optax.OptState
    n: Array
    active: Array


def make(
    network: CoefficientNet,
    *,
    learning_rate: float = 3e-8,
    max_grad_norm: float = 0.5,
    n_start: float = 1.0,
    n_end: float = 3.0,
    n_period: int = 50_000,
    n_increments: int = 10,
    mask_coefficient: bool = True,
    mask_regulariser: bool = True,
) -> Coefficient:
    """Builds the state-adaptive coefficient.

    Args:
        network: beta(s).
        learning_rate: Adam's rate.
        max_grad_norm: clip on the global norm of the gradients before Adam.
        n_start: first size of the trust region.
        n_end: largest size.
        n_period: updates between two tests of the schedule.
        n_increments: number of steps from `n_start` to `n_end`.
        mask_coefficient: whether trusted rows alone train the coefficient and decide the schedule.
        mask_regulariser: whether the regulariser acts on trusted rows alone.
    """
    optimiser = optax.chain(clip_by_global_norm(max_grad_norm), optax.adam(learning_rate))
    increment = (n_end - n_start) / n_increments

    def apply_params(params: Params, observations: Array) -> Array:
        return network.apply({"params": params}, observations)  # pyright: ignore[reportReturnType]

    def init(key: Key, observations: Array) -> StateAdaptiveState:
        params = network.init(key, observations)["params"]
        return StateAdaptiveState(params, optimiser.init(params), jnp.asarray(n_start, float), jnp.asarray(True))

    def apply(state: StateAdaptiveState, observations: Array) -> Array:
        return apply_params(state.params, observations)

    def loss(params: Params, observations: Array, slack: Array, mask: Array) -> tuple[Array, Array]:
        """E[mask * slack * beta(s)] over all rows: unselected rows count as zeros in the mean."""
        beta = apply_params(params, observations)
        return jnp.mean(slack * mask * beta), beta

    def update(
        state: StateAdaptiveState, observations: Array, slack_fn: SlackFn, trusted: Array, step: Array
    ) -> tuple[StateAdaptiveState, Metrics]:
        slack, slack_metrics = jax.lax.stop_gradient(slack_fn(state.n))
        mask = trusted if mask_coefficient else jnp.ones_like(trusted)
        params, opt_state, value, beta, gradients = gradient_step(
            loss, optimiser, state.params, state.opt_state, observations, slack, mask
        )
        count = jnp.sum(mask)
        mean_slack = jnp.sum(slack * mask) / jnp.maximum(count, 1.0)
        n, active = schedule(state, jnp.where(count > 0, mean_slack, -jnp.inf), step)
        metrics = averages(
            {
                "coefficient/loss": value,
                "coefficient/grad_norm": optax.tree.norm(gradients),
                "coefficient/beta_min": jnp.min(beta),
                "coefficient/beta_mean": jnp.mean(beta),
                "coefficient/beta_max": jnp.max(beta),
                "coefficient/n": state.n,
                "coefficient/active": state.active.astype(value.dtype),
                "coefficient/selected_fraction": jnp.mean(mask),
                "coefficient/slack_min": jnp.min(slack),
                "coefficient/slack_max": jnp.max(slack),
                "coefficient/negative_share": jnp.mean(slack < 0.0),
            }
        )
        # Without a selected row there is no mean, and the metric does not occur.
        metrics["coefficient/slack_mean"] = Average(mean_slack, (count > 0).astype(mean_slack.dtype))
        return StateAdaptiveState(params, opt_state, n, active), metrics | slack_metrics

    def schedule(state: StateAdaptiveState, mean_slack: Array, step: Array) -> tuple[Array, Array]:
        """Every `n_period` updates: stop for good if the selected actions lie inside on average, else grow.

        The mean is that of one minibatch, as in the authors' program; without a selected row n grows.
        """
        due = state.active & (step % n_period == 0)
        inside = mean_slack > 0.0
        grown = jnp.minimum(n_end, state.n + increment)
        return jnp.where(due & ~inside, grown, state.n), state.active & ~(due & inside)

    return Coefficient(init, apply, update, mask_regulariser)
