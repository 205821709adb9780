"""Checks of a whole config, once, before anything compiles; fields that an algorithm lacks are skipped."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from configs.common import Config, Field, did_you_mean, fields
from ssar_jax.data.tasks import CUSTOM
from ssar_jax.errors import UserError

CHOICES = {
    "physics": ("auto", "d4rl-v2", "gymnasium"),
    "dataset.source": ("auto", "d4rl", "minari", "embedded", "path"),
    "selection.rule": ("return", "success", "advantage", "top_fraction", "none"),
    "coefficient.kind": ("state_adaptive", "constant"),
    "coefficient.last_kernel_init": ("xavier", "zeros"),
    "coefficient.anneal": ("linear", "cosine", "none"),
    "balance.map": ("official", "intended"),
    "balance.next_coefficient": ("current", "next"),
    "actor.schedule": ("cosine", "constant"),
    "online.actor_schedule": ("constant", "cosine_wrap"),
    "online.buffer": ("part", "all", "half", "none"),
    "online.trust": ("stale", "one", "zero"),
}

# What a number must be, and the fields of which it holds; the last part of a name may stand for many fields.
# A comparison with NaN is false, so NaN passes none of them.
_RANGES: dict[str, tuple[Callable[[float], bool], tuple[str, ...]]] = {
    "positive": (
        lambda x: x > 0,
        (
            *("num_updates", "num_seeds", "batch_size", "num_steps", "n_period", "n_increments", "interval"),
            *(
                "episodes",
                "every",
                "keep",
                "updates_per_step",
                "steps_between_updates",
                "policy_freq",
                "part_k",
                "buffer_capacity",
                "learning_rate",
            ),
            *("max_grad_norm", "base", "delta", "n_start", "n_end", "reward_scale"),
            *("width", "num_actions", "softmax_temperature", "output_gain", "actor.decay_steps"),
        ),
    ),
    "zero or more": (
        lambda x: x >= 0,
        (
            *("seed", "warmup_steps", "policy_noise", "noise_clip", "noise", "actor.temperature", "bc_weight"),
            *("penalty_weight", "balance.low", "balance.high"),
        ),
    ),
    "between 0 and 1": (lambda x: 0 <= x <= 1, ("discount", "selection.min_fraction", "anneal_floor")),
    "above 0 and at most 1": (lambda x: 0 < x <= 1, ("tau", "selection.fraction", "dataset.clip_actions")),
    "between 0 and 1, ends excluded": (lambda x: 0 < x < 1, ("expectile",)),
    "larger than 1": (lambda x: x > 1, ("max_ratio",)),
    "finite": (
        lambda x: math.isfinite(x),
        (
            *("dataset.reward_bias", "selection.threshold", "decay_steps"),
            *("target_gap", "difference_min", "difference_max"),
        ),
    ),
}
_INT32 = 2**31


def check_config(config: Config) -> None:
    """Checks every field by itself, then what fields must be together.

    Raises:
        UserError: for the first field that does not fit, named with its value and what would fit.
    """
    for name, field in fields(config).items():
        _check_field(name, field)
    for check in (
        _check_seeds, _check_data, _check_selection, _check_coefficient, _check_balance, _check_critic, _check_online,
    ):  # fmt: skip
        check(config)


def range_of(name: str) -> str | None:
    """Returns what the number under this full name must be, None where nothing is asked."""
    for description, (_, names) in _RANGES.items():
        if name in names or name.rpartition(".")[2] in names:
            return description
    return None


def _check_field(name: str, field: Field) -> None:
    value = field.value
    if value is None:
        if not field.optional:
            raise UserError(f"{name} is unset; it needs a value")
        return
    if name in CHOICES and value not in CHOICES[name]:
        hint = did_you_mean(str(value), CHOICES[name])
        raise UserError(f"{name}={value!r} is unknown; choose one of {', '.join(CHOICES[name])}{hint}")
    if name.endswith("hidden_sizes") and not _are_sizes(value):
        raise UserError(f"{name}={value!r} must be a tuple of positive integers such as (256, 256)")
    if name == "critic.hidden_layers" and not (_are_sizes(value) and len(value) == 2):
        raise UserError(f"{name}={value!r} must be two positive integers such as (3, 3), one for each critic")
    description = range_of(name)
    if description is None:
        return
    fits, _ = _RANGES[description]
    if not (fits(value) and math.isfinite(value)):
        raise UserError(f"{name}={value!r} must be {'finite' if math.isinf(value) else description}")
    if field.kind is int and name != "seed" and value >= _INT32:
        raise UserError(f"{name}={value!r} must be below {_INT32:,}, for counters have 32 bits")


def _are_sizes(value: Any) -> bool:
    return len(value) > 0 and all(type(size) is int and size > 0 for size in value)


def _check_seeds(config: Config) -> None:
    last = config.seed + config.num_seeds - 1
    if last >= _INT32:
        raise UserError(f"seed={config.seed} with num_seeds={config.num_seeds} ends at {last}, above {_INT32 - 1}")


def _check_data(config: Config) -> None:
    dataset, custom = config.dataset, config.task == CUSTOM
    if custom and dataset.path is None:
        raise UserError("task custom needs your data: --config.dataset.path=<file.hdf5, file.npz or Minari dataset>")
    if dataset.source == "path" and dataset.path is None:
        raise UserError("dataset.source='path' needs dataset.path, which is unset")
    if dataset.path is not None and dataset.source in ("d4rl", "embedded"):
        raise UserError(
            f"dataset.path={dataset.path!r} contradicts dataset.source={dataset.source!r}; "
            "leave the source at auto, or the path unset"
        )
    if not custom:
        given = {"environment.id": config.environment.id}
        given |= {f"dataset.{name}": dataset[name] for name in ("action_low", "action_high")}
        for name, value in given.items():
            if value is not None:
                raise UserError(f"{name}={value!r} belongs to task custom; {config.task} has its own")
    _check_action_bounds(dataset.action_low, dataset.action_high)


def _check_action_bounds(low: Any, high: Any) -> None:
    if low is None and high is None:
        return
    if low is None or high is None:
        raise UserError(f"dataset.action_low={low!r} and dataset.action_high={high!r} must be given together")
    lows, highs = (bound if isinstance(bound, tuple) else (bound,) for bound in (low, high))
    for name, bounds in (("action_low", lows), ("action_high", highs)):
        if not bounds or not all(type(x) in (int, float) and math.isfinite(x) for x in bounds):
            raise UserError(f"dataset.{name}={bounds!r} must be a number or a tuple of numbers, all finite")
    if 1 not in (len(lows), len(highs)) and len(lows) != len(highs):
        raise UserError(
            f"dataset.action_low has {len(lows)} numbers, dataset.action_high {len(highs)}; they must agree"
        )
    size = max(len(lows), len(highs))
    if any(a >= b for a, b in zip(lows * (size // len(lows)), highs * (size // len(highs)), strict=True)):
        raise UserError(f"dataset.action_low={low!r} must lie below dataset.action_high={high!r}")


def _check_selection(config: Config) -> None:
    selection = config.selection
    for rule, needed in (("return", "threshold"), ("advantage", "expectile")):
        if selection.rule == rule and selection[needed] is None:
            raise UserError(f"selection.rule={rule!r} needs selection.{needed}, which is unset")
    if selection.rule == "success" and not config.task.startswith(("antmaze-", CUSTOM)):
        raise UserError(
            f"selection.rule='success' needs a task with a goal, which {config.task} is not; "
            "use return, advantage or top_fraction"
        )


def _check_coefficient(config: Config) -> None:
    coefficient = config.get("coefficient")
    if coefficient is None:
        return
    if coefficient.n_end < coefficient.n_start:
        raise UserError(
            f"coefficient.n_end={coefficient.n_end} is below coefficient.n_start={coefficient.n_start}; "
            "the threshold only grows"
        )
    if config.algorithm == "cql" and coefficient.kind == "state_adaptive":
        limit = config.dataset.clip_actions
        if limit is None or np.float32(limit) >= 1:  # training holds actions in float32
            raise UserError(
                f"dataset.clip_actions={limit!r} must be below 1, such as 0.9999, for coefficient.kind="
                "'state_adaptive': the trust region takes the policy's density at the data's actions, which has "
                "no value at -1 and 1"
            )


def _check_balance(config: Config) -> None:
    balance = config.get("balance")
    if balance is not None and balance.low > balance.high:
        raise UserError(f"balance.low={balance.low} must not lie above balance.high={balance.high}")


def _check_critic(config: Config) -> None:
    critic = config.get("critic", {})
    low, high = (critic.get(name) for name in ("difference_min", "difference_max"))
    if low is not None and high is not None and low >= high:
        raise UserError(f"critic.difference_min={low} must lie below critic.difference_max={high}")


def _check_online(config: Config) -> None:
    online = config.online
    if online.warmup_steps >= online.num_steps:
        raise UserError(
            f"online.warmup_steps={online.warmup_steps} must be below online.num_steps={online.num_steps}, "
            "or no online update is made"
        )
    if online.warmup_steps + online.steps_between_updates > online.num_steps:
        raise UserError(
            f"online.steps_between_updates={online.steps_between_updates} is more than the "
            f"{online.num_steps - online.warmup_steps} steps after the warm-up, so that no online update is made"
        )
    if online.get("buffer") == "half" and config.batch_size % 2:
        raise UserError(f"batch_size={config.batch_size} must be even for online.buffer='half'")
