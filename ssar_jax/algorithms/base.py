"""The interface of an algorithm, a record of pure functions with the hyperparameters closed over."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol

from ssar_jax.transitions import EpisodeColumn
from ssar_jax.types import Array, Batch, Key, Metrics, Params

Phase = Literal["offline", "online"]
"""The phase of a run. It is a Python value, so each phase is compiled as a separate program."""


class Update(Protocol):
    """The type of an algorithm's update function."""

    def __call__(
        self, state: Any, batch: Batch, draws: Any, *, step: Array, annealing: Array | float, phase: Phase
    ) -> tuple[Any, Metrics]:
        """Takes one update, a gradient step on the networks that are due; pure and not jitted.

        Args:
            state: the algorithm's state.
            batch: a minibatch of B transitions.
            draws: the random arrays of this update, from `Algorithm.draw`.
            step: number of updates so far including this one, a scalar that is never batched over seeds.
            annealing: factor on the regularizer in the online phase, a scalar in [0, 1]; 1 offline.
            phase: `offline` or `online`.

        Returns:
            The new state, of the same structure, shapes and types, and metrics with the same names in every update
            (`ops.trees.averages` makes them from scalars). A seed is stopped if a metric with `loss` in its name is not
            finite.
        """
        ...


class Algorithm(NamedTuple):
    """An algorithm as pure functions of a state that holds data only.

    The state is a NamedTuple with a `TrainState` per trained network, the parameters of the target networks and the
    state of the coefficient.

    Attributes:
        init: (key, observations [B, O], actions [B, A]) -> state; only the shapes of the arrays matter.
        draw: (key, batch) -> the random arrays of one update.
        update: one update, see `Update`.
        policy_params: state -> the parameters that `act` needs.
        act: (policy parameters, observations [..., O], key) -> actions [..., A]: sampled, or deterministic if the key
            is None.
        diagnose: (state, observations [B, O]) -> arrays [B] by name that are stored at evaluations, such as beta.
        coefficient_period: number of updates between two updates of the coefficient.
        pretraining: the model that must be trained on the dataset first; None if there is none.
        columns: the columns that a minibatch has in addition, in `Batch.extras`; `prepare(dataset, columns=...)`
            computes them.
    """

    init: Callable[[Key, Array, Array], Any]
    draw: Callable[[Key, Batch], Any]
    update: Update
    policy_params: Callable[[Any], Params]
    act: Callable[[Params, Array, Key | None], Array]
    diagnose: Callable[[Any, Array], dict[str, Array]] = lambda state, observations: {}
    coefficient_period: int = 1
    pretraining: "Pretraining | None" = None
    columns: tuple[EpisodeColumn, ...] = ()


class Pretraining(NamedTuple):
    """A model that is trained on the dataset first and is then a frozen part of the algorithm's state.

    Attributes:
        name: name of the model in file names and messages, such as `density`.
        algorithm: the algorithm that trains it; its `act` is never called.
        batch_size: minibatch size.
        num_updates: number of updates.
        loss: name of the metric that shows its progress.
        title: one line for the user on what is trained.
        remedy: advice for the user if the training diverges.
        recipe: all hyperparameters that determine the model, given data and seed; a part of its key in the cache.
        extract: state of `algorithm` -> the trained parameters, a nested dictionary.
        install: (state of the algorithm that needs it, parameters) -> state.
        installed: state of the algorithm that needs it -> the parameters in it, which are NaN until `install`.
    """

    name: str
    algorithm: Algorithm
    batch_size: int
    num_updates: int
    loss: str
    title: str
    remedy: str
    recipe: dict[str, Any]
    extract: Callable[[Any], Params]
    install: Callable[[Any, Params], Any]
    installed: Callable[[Any], Params]
