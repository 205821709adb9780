"""Ranges of hyperparameters: found by name, told with the value and what would fit."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.errors import UserError
from ssar_jax.ranges import RANGES, range_of, require_hyperparameters, require_in_range


@pytest.mark.parametrize(
    ("name", "description"),
    [
        ("tau", "above 0 and at most 1"),
        ("critic.tau", "above 0 and at most 1"),
        ("critic.learning_rate", "positive"),
        ("critic_learning_rate", "positive"),
        ("online_discount", "between 0 and 1"),
        ("coefficient.decay_steps", "finite"),
        ("actor.decay_steps", "positive"),  # the longest entry counts
        ("actor_decay_steps", "positive"),
        ("softmax_temperature", "positive"),
        ("actor.temperature", "zero or more"),
        ("balance.low", "zero or more"),
        ("low", "zero or more"),
        ("dataset.action_low", "finite"),
        ("hidden_sizes", None),
        ("tauon", None),
    ],
)
def test_names_share_the_entry_of_their_last_words(name, description):
    assert range_of(name) == description


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tau", 7, "tau=7 must be above 0 and at most 1"),
        ("tau", 0.0, "tau=0.0 must be above 0 and at most 1"),
        ("critic.tau", math.nan, "critic.tau=nan must be above 0 and at most 1"),
        ("num_updates", 0, "num_updates=0 must be positive"),
        ("actor_learning_rate", math.inf, "actor_learning_rate=inf must be finite"),
        ("seed", -1, "seed=-1 must be zero or more"),
        ("discount", 1.01, "discount=1.01 must be between 0 and 1"),
        ("dropout", 1.0, "dropout=1.0 must be at least 0 and below 1"),
        ("expectile", 1.0, "expectile=1.0 must be between 0 and 1, ends excluded"),
        ("max_ratio", 1.0, "max_ratio=1.0 must be larger than 1"),
        ("target_gap", math.nan, "target_gap=nan must be finite"),
        ("tau", "0.5", "tau='0.5' must be above 0 and at most 1"),
        ("tau", True, "tau=True must be above 0 and at most 1"),
        ("tau", None, "tau=None must be above 0 and at most 1"),
    ],
)
def test_a_number_out_of_range_is_named_with_what_would_fit(name, value, message):
    with pytest.raises(UserError) as caught:
        require_in_range(name, value)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "value"),
    [("tau", 1), ("tau", np.float32(0.5)), ("discount", 0.0), ("dropout", 0), ("num_steps", np.int64(1)), ("mine", -1)],
)
def test_a_number_in_its_range_passes(name, value):
    require_in_range(name, value)


@pytest.mark.parametrize("name", RANGES)
def test_no_range_holds_nan(name):
    with pytest.raises(UserError, match=f"{name}=nan must be"):
        require_in_range(name, math.nan)


class _Inner(NamedTuple):
    discount: Any = 0.99
    critic_hidden_sizes: Any = (256, 256)


class _Record(NamedTuple):
    inner: _Inner = _Inner()
    tau: Any = 0.005
    difference_min: Any = -math.inf
    difference_max: Any = math.inf
    output_bound: Any = None
    dropout: Any = False
    critic_hidden_sizes: Any = ((4,), (4, 4))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tau": 7}, "tau=7 must be above 0 and at most 1"),
        ({"tau": "slow"}, "tau='slow' must be above"),
        ({"inner": _Inner(discount=-0.5)}, "discount=-0.5 must be between 0 and 1"),
        ({"inner": _Inner(critic_hidden_sizes=256)}, "critic_hidden_sizes=256 must be a tuple of positive integers"),
        ({"critic_hidden_sizes": ((4,), (0,))}, r"critic_hidden_sizes=\(\(4,\), \(0,\)\) must be a tuple of"),
        ({"critic_hidden_sizes": ()}, r"critic_hidden_sizes=\(\) must be a tuple of"),
        ({"difference_min": math.inf}, "difference_min=inf must be finite"),
        ({"difference_max": math.nan}, "difference_max=nan must be finite"),
        ({"output_bound": 0.0}, "output_bound=0.0 must be positive"),
    ],
)
def test_every_hyperparameter_of_a_record_is_checked(changes, message):
    require_hyperparameters(_Record())
    with pytest.raises(UserError, match=message):
        require_hyperparameters(_Record(**changes))


def test_traced_hyperparameters_are_not_checked():
    def rate(tau):
        require_hyperparameters(_Record(tau=tau))
        return tau

    assert jax.jit(rate)(jnp.float32(0.5)) == 0.5
