"""What every algorithm is: a record of pure functions with its hyperparameters closed over."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol

from ssar_jax.types import Array, Batch, Key, Metrics, Params

Phase = Literal["offline", "online"]
"""A Python value: the two phases are two compiled programs."""


class Update(Protocol):
    """The type of an algorithm's update function."""

    def __call__(
        self, state: Any, batch: Batch, draws: Any, *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[Any, Metrics]:
        """Takes one gradient step on every network; pure and unjitted.

        Args:
            state: the algorithm's state.
            batch: a minibatch.
            draws: the random arrays of this step, from `Algorithm.draw`.
            step: scalar, number of updates so far including this one; never batched over seeds.
            annealing: scalar in [0, 1], the factor on the regulariser in the online phase.
            phase: which phase the step belongs to.

        Returns:
            The state, of the same structure, shapes and types, and metrics of the same names in every step
            (`ops.trees.averages` makes them of scalars). A seed stops where one with `loss` in its name is infinite.
        """
        ...


class Algorithm(NamedTuple):
    """An algorithm as pure functions over a state that is data only: a NamedTuple, optimisers in fields `*_opt`.

    Attributes:
        init: (key, observations [B, O], actions [B, A]) -> state; the arrays serve for their shapes alone.
        draw: (key, batch) -> the random arrays one update needs.
        update: one gradient step, see `Update`.
        policy: state -> the parameters that `act` needs.
        act: (policy parameters, observations [..., O], key) -> actions [..., A]; the key None asks for the
            deterministic action.
        diagnose: (state, observations [B, O]) -> arrays worth keeping at an evaluation, by name.
    """

    init: Callable[[Key, Array, Array], Any]
    draw: Callable[[Key, Batch], Any]
    update: Update
    policy: Callable[[Any], Params]
    act: Callable[[Params, Array, Key | None], Array]
    diagnose: Callable[[Any, Array], dict[str, Array]] = lambda state, observations: {}
