"""The range of every hyperparameter, for configs and constructors alike; a leaf.

A comparison with NaN is false, so NaN is in no range.
"""

import math
from collections.abc import Callable
from numbers import Real
from typing import Any

from ssar_jax.errors import UserError

_PREDICATES: dict[str, Callable[[float], bool]] = {
    "positive": lambda x: x > 0,
    "zero or more": lambda x: x >= 0,
    "between 0 and 1": lambda x: 0 <= x <= 1,
    "at least 0 and below 1": lambda x: 0 <= x < 1,
    "above 0 and at most 1": lambda x: 0 < x <= 1,
    "between 0 and 1, ends excluded": lambda x: 0 < x < 1,
    "larger than 1": lambda x: x > 1,
    "finite": math.isfinite,
}

# fmt: off
_NAMES: dict[str, tuple[str, ...]] = {
    "positive": (
        "num_updates", "num_seeds", "num_steps", "num_actions", "batch_size", "buffer_capacity", "part_k",
        "updates_per_step", "steps_between_updates", "policy_freq", "target_update_period", "interval", "episodes",
        "every", "keep", "learning_rate", "max_grad_norm", "base", "delta", "n_start", "n_end", "n_period",
        "n_increments", "reward_scale", "width", "softmax_temperature", "output_gain", "output_bound",
        "orthogonal_gain", "actor_decay_steps", "max_episode_steps", "kl_weight", "num_critics",
    ),
    "zero or more": (
        "seed", "warmup_steps", "bc_steps", "noise", "noise_clip", "temperature", "temperature_multiplier", "bc_weight",
        "penalty_weight", "low", "high", "penalty", "critic_factor", "eta",
    ),
    "between 0 and 1": ("discount", "selection_min_fraction", "anneal_floor"),
    "at least 0 and below 1": ("dropout",),
    "above 0 and at most 1": ("tau", "selection_fraction", "clip_actions", "keep_fraction"),
    "between 0 and 1, ends excluded": ("expectile",),
    "larger than 1": ("max_ratio",),
    "finite": (
        "reward_bias", "failure_reward", "threshold", "decay_steps", "target_gap", "difference_min", "difference_max",
        "action_low", "action_high",
    ),
}
# fmt: on

RANGES = {name: description for description, names in _NAMES.items() for name in names}
"""What each number must be, such as `positive`, by name; see `range_of` for the names that share an entry."""

# Infinity here means no clip; a config leaves the field unset instead.
_UNLIMITED = {"difference_min": -math.inf, "difference_max": math.inf}


def range_of(name: str) -> str | None:
    """Returns what a number must be, or None if it has no range.

    `critic.learning_rate` in a config and `critic_learning_rate` in Python are the same name. Without an entry of its
    own a name has that of its last words, here `learning_rate`; the longest entry counts.

    Args:
        name: name of a config field or of a hyperparameter.
    """
    words = name.replace(".", "_").split("_")
    ends = ("_".join(words[start:]) for start in range(len(words)))
    return next((RANGES[end] for end in ends if end in RANGES), None)


def require_in_range(name: str, value: Any) -> None:
    """Requires a number to be in the range of its name; a name without a range accepts every value.

    Args:
        name: name of a config field or of a hyperparameter.
        value: the number.

    Raises:
        UserError: `<name>=<value> must be <range>`.
    """
    description = range_of(name)
    if description is None:
        return
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    if not (_PREDICATES[description](number) and math.isfinite(number)):
        raise UserError(f"{name}={value!r} must be {'finite' if math.isinf(number) else description}")


def are_sizes(value: Any) -> bool:
    """Whether a value is a non-empty tuple or list of positive integers, as the widths of hidden layers are."""
    return isinstance(value, tuple | list) and len(value) > 0 and all(type(size) is int and size > 0 for size in value)


def require_hyperparameters(record: Any) -> None:
    """Requires all hyperparameters of an algorithm to be in their ranges.

    None, booleans and traced arrays are not checked. A record inside the record is checked too, and so are the widths
    of hidden layers, in fields named `*hidden_sizes`: one tuple, or one for each network.

    Args:
        record: a NamedTuple of hyperparameters.

    Raises:
        UserError: for the first field that does not fit, with its value and what would fit.
    """
    for name, value in record._asdict().items():
        if hasattr(value, "_asdict"):
            require_hyperparameters(value)
        elif name.endswith("hidden_sizes"):
            nested = isinstance(value, tuple | list) and len(value) > 0 and isinstance(value[0], tuple | list)
            if not all(map(are_sizes, value if nested else [value])):
                raise UserError(f"{name}={value!r} must be a tuple of positive integers such as (256, 256)")
        elif isinstance(value, Real | str) and not isinstance(value, bool) and value != _UNLIMITED.get(name):
            require_in_range(name, value)


def require_ordered(record: Any, low: str, high: str, *, distinct: bool = False) -> None:
    """Requires a hyperparameter to be at most another; traced arrays are not checked.

    Args:
        record: a NamedTuple of hyperparameters.
        low: name of the smaller one.
        high: name of the larger one.
        distinct: whether they must differ.

    Raises:
        UserError: `<low>=<value> must be at most <high>=<value>`, or `below`.
    """
    first, second = getattr(record, low), getattr(record, high)
    if not (isinstance(first, Real) and isinstance(second, Real)):
        return
    if first > second or (distinct and first == second):
        raise UserError(f"{low}={first} must be {'below' if distinct else 'at most'} {high}={second}")
