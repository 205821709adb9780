"""Operations per update, counted independently and by hand: halfcheetah, 256 rows."""

import pytest

from configs import edac, td3_bc
from ssar_jax.algorithms.registry import get_entry

# Multiplications for one row in a forward pass through each network; observation size 17, action size 6.
ACTOR = 17 * 256 + 256 * 256 + 256 * 6
CRITIC = 23 * 256 + 256 * 256 + 256 * 1
COEFFICIENT = 17 * 512 + 512 * 512 + 512 * 512 + 512 * 1
PER_ROW = 2 * 256  # a multiplication and an addition, 256 rows


def count(variant, **changes):
    config = td3_bc.get_config(f"halfcheetah-m,variant={variant}")
    config.update(changes)
    operations = get_entry(config.algorithm).operations
    assert operations is not None
    return operations(config, 17, 6)


def by_hand(adaptive):
    """In units of PER_ROW: each layer costs one product forward, one for its kernel's and one for its input's gradient.

    The first layer of a network that trains needs no gradient of its input, a target network none at all.
    """
    critics = 2 * (3 * CRITIC - 23 * 256)
    targets = 2 * CRITIC + ACTOR
    actor = (3 * ACTOR - 17 * 256) + 2 * CRITIC  # forward and back through the first critic, without kernel gradients
    coefficient = 3 * COEFFICIENT - 17 * 512
    return critics + targets + (actor + adaptive * coefficient) / 2  # every second update


def test_td3_bc():
    assert count("base") == pytest.approx(PER_ROW * by_hand(0))
    assert count("base") / 1e9 == pytest.approx(0.413, rel=0.01)


def test_td3_bc_with_the_adaptive_coefficient():
    """The coefficient's three layers of 512 are half of the work, every second update."""
    assert count("sa") == pytest.approx(PER_ROW * by_hand(1))
    assert count("sa") / 1e9 == pytest.approx(0.82, rel=0.01)


def test_layer_norm_is_not_counted_and_rows_count_linearly():
    assert count("base_ln") == count("base")
    assert count("sa", batch_size=512) == pytest.approx(2 * count("sa"))


def test_edac():
    """Every critic trains, is evaluated once as target, and passes the actor's loss forward and back.

    EDAC also differentiates the gradient with respect to the action, which doubles the training.
    """
    actor = 17 * 256 + 2 * 256 * 256 + 256 * 12
    critic = 23 * 256 + 2 * 256 * 256 + 256 * 1
    training = 3 * critic - 23 * 256
    policy = (3 * actor - 17 * 256) + actor
    operations = get_entry("edac").operations
    assert operations is not None
    base, sac_n = (edac.get_config(f"walker2d-m,variant={variant}") for variant in ("base", "sac_n"))
    assert operations(base, 17, 6) == pytest.approx(PER_ROW * (10 * (2 * training + 3 * critic) + policy))
    assert operations(sac_n, 17, 6) == pytest.approx(PER_ROW * (20 * (training + 3 * critic) + policy))
