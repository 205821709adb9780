"""Parts that all config files share: the argument after the colon, common settings, presets.

Sources named here and in the config files: *program* is the program of the SSAR paper's authors
(github.com/QinwenLuo/SSAR, commit 7e6dc0b), *CORL* is github.com/corl-team/CORL, *D4RL* is
github.com/Farama-Foundation/D4RL; *ours* marks a choice of this library.
"""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from ml_collections import ConfigDict
from ml_collections.config_dict import FieldReference, placeholder

from ssar_jax.data.sources.embedded import default_num_steps
from ssar_jax.data.tasks import CUSTOM, TASKS, get_task
from ssar_jax.errors import UserError

# A ConfigDict, whose dynamic fields a type checker does not know.
Config: TypeAlias = Any

PRESETS = ("paper", "library", "short")
# The fields that name a config; they are chosen in the argument after the colon and cannot be overridden.
IDENTITY = ("algorithm", "task", "variant", "preset")

# The short preset divides the paper's locomotion run, 1,000,000 updates, by this number; ours.
SHORTENING = 50
# Transitions of the embedded dataset in the short preset; ours, by trial: with fewer rows no policy learns.
SHORT_EMBEDDED_STEPS = 300_000


class Choice(NamedTuple):
    """The argument after the colon of `--config`.

    Attributes:
        algorithm: name of the config file.
        task: short name of the task.
        variant: variant of the algorithm.
        preset: one of `PRESETS`.
    """

    algorithm: str
    task: str
    variant: str
    preset: str

    @property
    def is_antmaze(self) -> bool:
        """Whether the task is one of the six AntMaze tasks."""
        return self.task.startswith("antmaze-")


def parse_arg(arg: str | None, *, algorithm: str, variants: Sequence[str]) -> Choice:
    """Reads `<task>[,variant=<name>][,preset=<name>]`.

    Args:
        arg: the text after the colon; None without a colon.
        algorithm: name of the config file.
        variants: the variants of this algorithm, the default first.

    Returns:
        The choice, with the short name of the task.

    Raises:
        UserError: for a missing or unknown task, an unknown key, variant or preset, or a key given twice.
    """
    task, *settings = [part.strip() for part in (arg or "").split(",")]
    if not task or "=" in task:
        names = ", ".join([*(known.name for known in TASKS), CUSTOM])
        raise UserError(
            f"no task: write configs/{algorithm}.py:<task>[,variant=<name>][,preset=<name>]; tasks: {names}"
        )
    known = {"variant": tuple(variants), "preset": PRESETS}
    chosen: dict[str, str] = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        if key not in known:
            meant = [f"{name}={key}" for name, values in known.items() if key in values]
            hint = f"; did you mean {meant[0]}?" if meant else did_you_mean(key, known)
            raise UserError(f"unknown setting {setting!r} after {task}{hint or '; write variant=... or preset=...'}")
        if key in chosen:
            raise UserError(f"{key} is given twice: {chosen[key]} and {value}")
        if value not in known[key]:
            hint = did_you_mean(value, known[key])
            raise UserError(f"unknown {key} {value!r}; {algorithm} has {', '.join(known[key])}{hint}")
        chosen[key] = value
    defaults = {key: values[0] for key, values in known.items()}
    return Choice(algorithm, _short_name(task), **(defaults | chosen))


def _short_name(name: str) -> str:
    if name == CUSTOM:
        return name
    task = get_task(name)
    if "/" in name:
        raise UserError(f"{name!r} is a dataset, not a task: write {task.name} with --config.dataset.source=embedded")
    return task.name


def did_you_mean(word: str, names: Iterable[str], prefix: str = "") -> str:
    """Returns `; did you mean a, b?` with up to three names near the word, or the empty string."""
    near = difflib.get_close_matches(word, list(names), n=3, cutoff=0.6)
    return f"; did you mean {', '.join(prefix + name for name in near)}?" if near else ""


class Field(NamedTuple):
    """A field of a config.

    Attributes:
        value: its value.
        kind: the type that it accepts.
        optional: whether it may be None.
    """

    value: Any
    kind: type
    optional: bool


def fields(config: Config, prefix: str = "") -> dict[str, Field]:
    """Returns all fields of a config by full dotted name, sorted."""
    leaves: dict[str, Field] = {}
    for key, stored in config.items(preserve_field_references=True):
        if isinstance(stored, ConfigDict):
            leaves |= fields(stored, f"{prefix}{key}.")
        else:
            optional = isinstance(stored, FieldReference)
            leaves[prefix + key] = Field(config[key], config.get_type(key), optional)
    return leaves


def shared_config(choice: Choice) -> Config:
    """Returns the settings that all algorithms share, as published; each config file adds others."""
    antmaze = choice.is_antmaze
    return ConfigDict(
        {
            **choice._asdict(),
            "num_updates": 1_000_000,  # program and CORL
            "seed": 0,  # the first of num_seeds consecutive seeds
            "num_seeds": 1,
            "batch_size": 256,  # program and CORL
            "discount": 0.99,  # program and CORL
            # Of matrix products. Ours: float32 on accelerators too, as PyTorch computes the published numbers.
            "precision": "highest",
            # Ours: "vmap" trains all seeds and critics as one batched program, "loop" one after the other; "auto" is
            # "vmap" on accelerators. They round differently.
            "layout": "auto",
            "physics": "auto",  # ours: gymnasium for Minari's own datasets, else d4rl-v2
            "dataset": {
                "source": "auto",  # ours: D4RL's file if it exists, else the embedded dataset with a warning
                "path": placeholder(str),
                "normalize_states": True,  # program and CORL
                "reward_scale": 1.0,  # reward = reward_scale * raw reward + reward_bias
                "reward_bias": 0.0,
                "reward_range_scaling": False,  # whether to scale by horizon / (best return - worst return)
                # To [-clip_actions, clip_actions]; unset, actions outside [-1, 1] are refused. Also if it is set, those
                # outside by more than 0.1 are refused.
                "clip_actions": placeholder(float),
                "keep_fraction": 1.0,  # share of the trajectories to keep, the best by raw return; 1 keeps all
                "action_low": placeholder(object),  # task custom: one number, or one for each action dimension
                "action_high": placeholder(object),
                "embedded": {"num_steps": _embedded_steps(choice)},  # as in D4RL
            },
            # Task custom: the Gymnasium environment to evaluate in; unset: that of a Minari dataset; off: none.
            "environment": {"id": placeholder(str)},
            "selection": {
                "rule": "none",
                "threshold": placeholder(float),  # rule "return" on D4RL's files: larger raw returns are trusted
                # Rule "top_fraction", and "return" on other data: share of the trajectories, the best by return; ours.
                "fraction": 0.3,
                "expectile": placeholder(float),  # rule "advantage"
                # Rule "advantage"; unset: 1,000,000 on D4RL's files (program), 100,000 on any other (ours).
                "num_updates": placeholder(int),
                "min_fraction": 0.0,  # ours: an error if less of the data is selected; off, as in the program
            },
            "online": {
                "num_steps": 250_000,  # program
                "warmup_steps": 5_000,  # program: interactions before the first online update
                "updates_per_step": 1,  # program
                "steps_between_updates": 1,  # program: environment steps between two blocks of updates
                "reset_optimizer": False,  # program: Adam's moments carry over
                "noise": 0.0,  # program: no exploration noise in addition to the algorithm's
                "buffer": "all",  # ours: initial content of the replay buffer
                "buffer_capacity": 2_500_000,  # ours: the largest dataset, 2,000,000 rows, and all online steps
                "part_k": 50,  # program: number of trajectories in the buffer mode "part"
                "trust": "stale",  # program: a new transition keeps the trust flag of the slot that it overwrites
            },
            "evaluation": {
                "interval": 50_000 if antmaze else 5_000,  # program
                "episodes": 100 if antmaze else 10,  # program and CORL
                # Ours: an episode is cut after so many steps; unset: the task's horizon, 1,000 if there is none.
                "max_episode_steps": placeholder(int),
                # Ours: "on" plays offline evaluations while training goes on, "off" in turn with it, with the same
                # rows; "auto" is "on" on accelerators, which would wait meanwhile.
                "overlap": "auto",
            },
            "checkpoint": {
                "every": 50_000,  # ours
                "keep": 2,  # ours: the last two, and always the final one
            },
        }
    )


def _embedded_steps(choice: Choice) -> int:
    return 1_000_000 if choice.task == CUSTOM else default_num_steps(get_task(choice.task))


def coefficient_config() -> Config:
    """Returns the settings of the state-adaptive coefficient that all algorithms share, all from the program."""
    return ConfigDict(
        {
            "kind": "state_adaptive",
            "max_ratio": 1.5,  # the coefficient is in (0, max_ratio * base)
            "hidden_sizes": (512, 512, 512),
            "last_kernel_init": "xavier",  # the coefficient starts near base; with "zeros" exactly there
            "max_grad_norm": 0.5,
            "n_period": 50_000,  # updates between two tests of the threshold n
            "n_increments": 10,  # steps from n_start to n_end
            "mask_coefficient": True,  # whether only trusted transitions train the coefficient
            "decay_steps": 400_000,  # online updates until the coefficient is 0; <= 0: no annealing
            "anneal_floor": 0.0,  # smallest annealing factor
        }
    )


def use_library_preset(config: Config) -> None:
    """Corrects the accidents of the program, and lets the regularizer act in all states.

    Args:
        config: changed in place.
    """
    if "coefficient" in config:
        config.coefficient.last_kernel_init = "zeros"  # every state starts at the base value, as the paper says
        config.coefficient.mask_regularizer = False  # ours, for data that nobody has tuned for: docs/results.md
    config.online.trust = "one"  # the agent's own transitions are trusted


def use_short_preset(config: Config, shortening: int = SHORTENING) -> None:
    """Shortens the paper's locomotion run and all its schedules.

    The threshold still makes its increments in the first half of the run, on AntMaze in all of it, and the learning
    rate of the coefficient grows so that its parameters can move as far as in the long run. The regularizer acts in all
    states, as in the library preset.

    Args:
        config: changed in place.
        shortening: divisor of the 1,000,000 updates.
    """
    config.num_updates = 1_000_000 // shortening
    if "coefficient" in config:
        config.coefficient.n_period //= shortening
        if config.task.startswith("antmaze-"):
            # Ours, by trial: n outgrows the noise of the ant's actions if it grows before the policy has fitted them.
            config.coefficient.n_period *= 2
        config.coefficient.learning_rate *= shortening
        config.coefficient.mask_regularizer = False
        if config.coefficient.decay_steps > 0:
            config.coefficient.decay_steps //= shortening
    # Selecting by advantage is cheap compared with any algorithm, so it is not shortened further.
    config.selection.num_updates = 1_000_000 // SHORTENING
    config.dataset.embedded.num_steps = min(SHORT_EMBEDDED_STEPS, config.dataset.embedded.num_steps)
    config.online.num_steps //= shortening
    config.online.warmup_steps //= shortening
    config.evaluation.interval = config.num_updates // 8
    config.evaluation.episodes = 10
    config.checkpoint.every = config.num_updates // 2
