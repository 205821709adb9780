"""Assertions of ranks and shapes; they run when a program is traced and cost nothing afterward."""

import chex

from ssar_jax.types import Batch


def assert_batch(batch: Batch, action_size: int) -> None:
    """Asserts that a minibatch has the shapes that `Batch` documents.

    Without it, rewards of shape [B, 1] would silently broadcast to [B, B] in a loss.

    Args:
        batch: a minibatch of B transitions.
        action_size: number of action dimensions A.

    Raises:
        AssertionError: if a shape is wrong; the message names it.
    """
    rows, observation_size = _matrix(batch.observations, "observations")
    chex.assert_shape(
        [batch.actions, batch.next_observations], [(rows, action_size), (rows, observation_size)],
        custom_message="actions must be [B, A] and next_observations [B, O]",
    )  # fmt: skip
    chex.assert_shape(
        [batch.rewards, batch.masks, batch.trusted], (rows,), custom_message="rewards, masks and trusted must be [B]"
    )


def _matrix(array: chex.Array, name: str) -> tuple[int, int]:
    chex.assert_rank(array, 2, custom_message=f"{name} must be [B, O]")
    return array.shape  # pyright: ignore[reportReturnType]
