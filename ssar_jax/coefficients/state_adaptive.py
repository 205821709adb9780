"""The learned, state-adaptive coefficient beta(s) of SSAR.

Luo et al., "Learning to Trust Bellman Updates: Selective State-Adaptive Regularization for Offline RL", 2025,
https://arxiv.org/abs/2505.19923.

Its loss is E[slack * beta(s)], which lowers the coefficient if the dataset action is inside the trust region and raises
it if the action is outside. The size n of the region grows from n_start to n_end until the trusted actions are inside
on average.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from ssar_jax.choices import LastKernelInit
from ssar_jax.coefficients.base import Coefficient, SlackFn
from ssar_jax.networks.coefficient import CoefficientNet
from ssar_jax.ops.gradients import create_train_state, gradient_step
from ssar_jax.ops.optimizers import clip_by_global_norm
from ssar_jax.ops.trees import averages
from ssar_jax.ranges import require_in_range
from ssar_jax.types import Array, Average, Key, Metrics, Params, TrainState


class StateAdaptiveState(NamedTuple):
    """The training state of a state-adaptive coefficient.

    Attributes:
        network: the coefficient network. It stays in float32 or wider, because an update at the published learning rate
            is close to the resolution of float32.
        n: size of the trust region, scalar.
        active: whether n may still grow, scalar bool.
    """

    network: TrainState
    n: Array
    active: Array


def state_adaptive(
    base: float,
    *,
    max_ratio: float = 1.5,
    hidden_sizes: tuple[int, ...] = (512, 512, 512),
    last_kernel_init: LastKernelInit = "zeros",
    learning_rate: float = 3e-8,
    max_grad_norm: float = 0.5,
    n_start: float = 1.0,
    n_end: float = 3.0,
    n_period: int = 50_000,
    n_increments: int = 10,
    mask_coefficient: bool = True,
    mask_regularizer: bool = False,
) -> Coefficient:
    """Builds the state-adaptive coefficient beta(s), a network with values in (0, max_ratio * base).

    Luo et al., 2025, https://arxiv.org/abs/2505.19923.

    Args:
        base: base value, the coefficient of the algorithm without adaptation.
        max_ratio: largest coefficient as a multiple of `base`.
        hidden_sizes: widths of the network's hidden layers.
        last_kernel_init: `zeros` starts beta(s) at `base` in every state; `xavier`, as published, near `base`.
        learning_rate: Adam's learning rate.
        max_grad_norm: largest global norm of the gradients that Adam receives.
        n_start: initial size n of the trust region.
        n_end: largest size n.
        n_period: number of updates between two tests of the schedule, at each of which n grows or stops.
        n_increments: number of increments from `n_start` to `n_end`.
        mask_coefficient: whether only trusted transitions train the coefficient and decide the schedule.
        mask_regularizer: whether the regularizer acts on trusted transitions only, as published on most locomotion
            tasks.

    Raises:
        UserError: if a hyperparameter is out of its range, such as `max_ratio=0.5`.
    """
    numbers = {
        "base": base,
        "max_ratio": max_ratio,
        "max_grad_norm": max_grad_norm,
        "n_start": n_start,
        "n_end": n_end,
        "n_period": n_period,
        "n_increments": n_increments,
    }
    for name, number in numbers.items():
        require_in_range(name, number)
    network = CoefficientNet(base, max_ratio, hidden_sizes, last_kernel_init)
    optimizer = optax.chain(clip_by_global_norm(max_grad_norm), optax.adam(learning_rate))
    increment = (n_end - n_start) / n_increments

    def apply_params(params: Params, observations: Array) -> Array:
        return network.apply({"params": params}, observations)  # pyright: ignore[reportReturnType]

    def init(key: Key, observations: Array) -> StateAdaptiveState:
        params = network.init(key, observations)["params"]
        return StateAdaptiveState(
            network=create_train_state(params, optimizer), n=jnp.asarray(n_start, float), active=jnp.asarray(True)
        )

    def apply(state: StateAdaptiveState, observations: Array) -> Array:
        return apply_params(state.network.params, observations)

    def loss(params: Params, observations: Array, slack: Array, mask: Array) -> tuple[Array, Array]:
        """E[mask * slack * beta(s)] (Luo et al., 2025); masked rows count as zeros in the mean over B."""
        beta = apply_params(params, observations)
        return jnp.mean(slack * mask * beta), beta

    def update(
        state: StateAdaptiveState, observations: Array, slack_fn: SlackFn, trusted: Array, step: Array
    ) -> tuple[StateAdaptiveState, Metrics]:
        slack, slack_metrics = jax.lax.stop_gradient(slack_fn(state.n))
        mask = trusted if mask_coefficient else jnp.ones_like(trusted)
        network_state, value, beta, gradients = gradient_step(loss, optimizer, state.network, observations, slack, mask)
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
        # Without a trusted row there is no mean: the metric gets weight 0.
        metrics["coefficient/slack_mean"] = Average(mean_slack, (count > 0).astype(mean_slack.dtype))
        return StateAdaptiveState(network_state, n, active), metrics | slack_metrics

    def schedule(state: StateAdaptiveState, mean_slack: Array, step: Array) -> tuple[Array, Array]:
        """Every `n_period` updates, stops n for good if the trusted actions are inside on average, else increases it.

        As in the authors' program, the mean is that of one minibatch, and n increases if no row is trusted.
        """
        due = state.active & (step % n_period == 0)
        inside = mean_slack > 0.0
        grown = jnp.minimum(n_end, state.n + increment)
        return jnp.where(due & ~inside, grown, state.n), state.active & ~(due & inside)

    return Coefficient(init, apply, update, mask_regularizer)
