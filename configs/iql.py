"""IQL: `configs/iql.py:<task>[,variant=corl|official|sa][,preset=paper|library|short]`.

Tasks: `halfcheetah`, `hopper`, `walker2d` with `-m -mr -me -e`, `antmaze` with `-u -ud -mp -md -lp -ld`, or
their D4RL names; `custom` for your own data (`--config.dataset.path=my.hdf5`).

Variants: `corl` is CORL's program, the usual source of baselines, `official` is the program of IQL's authors
(github.com/ikostrikov/implicit_q_learning); they differ in hyperparameters, in the preparation of the data and in the
order of an update. `sa`, experimental and unpublished, is `corl` with the state-adaptive coefficient, which scales
the strength of the regularization, 1 / temperature, in each state.

Fine-tuning on locomotion was never published: the online settings there are those of AntMaze, which is our choice.

Presets: `paper` is the published setting, `library` corrects the accidents of the published program, `short` is
the run shortened to 20,000 updates, for a first try.
"""

from typing import NamedTuple

from ml_collections.config_dict import placeholder

from configs import common

VARIANTS = ("corl", "official", "sa")


class _Row(NamedTuple):
    """One task in the configuration files of a program."""

    expectile: float
    temperature: float
    tau: float
    deterministic: bool  # whether the actor is deterministic
    range_scaling: bool  # whether rewards are scaled by 1000 / (best return - worst return)


# Source: CORL, its configuration files.
# fmt: off
_CORL = {
    #               expectile temperature tau  deterministic range_scaling
    "halfcheetah-m":     (0.7,  3.0, 0.005, False, False),
    "halfcheetah-mr":    (0.7,  3.0, 0.005, False, False),
    "halfcheetah-me":    (0.7,  3.0, 0.005, False, False),
    "halfcheetah-e":     (0.7,  3.0, 0.005, False, False),
    "hopper-m":          (0.7,  3.0, 0.001, True,  True),
    "hopper-mr":         (0.7,  3.0, 0.001, True,  True),
    "hopper-me":         (0.5,  6.0, 0.005, False, False),
    "hopper-e":          (0.7,  3.0, 0.005, False, False),
    "walker2d-m":        (0.7,  3.0, 0.005, False, False),
    "walker2d-mr":       (0.7,  3.0, 0.005, False, False),
    "walker2d-me":       (0.7,  3.0, 0.005, False, False),
    "walker2d-e":        (0.7,  3.0, 0.005, False, False),
    "antmaze-u":         (0.9, 10.0, 0.005, False, False),
    "antmaze-ud":        (0.9, 10.0, 0.005, False, False),
    "antmaze-mp":        (0.9, 10.0, 0.005, False, False),
    "antmaze-md":        (0.9, 10.0, 0.005, False, False),
    "antmaze-lp":        (0.9, 10.0, 0.005, False, False),
    "antmaze-ld":        (0.9, 10.0, 0.005, False, False),
    # Ours: the settings of most locomotion tasks.
    "custom":            (0.7,  3.0, 0.005, False, False),
}
# fmt: on

# Source: the authors' program, one setting for each family of tasks; custom data are treated as locomotion.
_OFFICIAL_LOCOMOTION = _Row(0.7, 3.0, 0.005, deterministic=False, range_scaling=True)
_OFFICIAL_ANTMAZE = _Row(0.9, 10.0, 0.005, deterministic=False, range_scaling=False)


def get_config(arg: str | None = None) -> common.Config:
    """Returns the locked config for `<task>[,variant=...][,preset=...]`."""
    choice = common.parse_arg(arg, algorithm="iql", variants=VARIANTS)
    row, official = _row(choice), choice.variant == "official"
    config = common.shared_config(choice)
    config.dataset.reward_bias = -1.0 if choice.is_antmaze else 0.0  # both programs
    config.dataset.reward_range_scaling = row.range_scaling
    if official:
        config.dataset.normalize_states = False
        config.dataset.clip_actions = 1 - 1e-5
        if choice.is_antmaze:
            config.evaluation.interval = 100_000
    config.critic = {
        "hidden_sizes": (256, 256),  # both programs: of Q, V and the actor
        "learning_rate": 3e-4,  # both programs: of Q, V and the actor
        "tau": row.tau,
        "expectile": row.expectile,
    }
    config.actor = {
        "temperature": row.temperature,
        "deterministic": row.deterministic,
        "schedule": "cosine",  # both programs: the actor's learning rate falls to 0
        "decay_steps": placeholder(int),  # both programs; unset: num_updates
    }
    config.online.update(
        {
            "warmup_steps": 0,  # both programs
            "buffer": "all",  # both programs
            "buffer_capacity": 2_500_000,  # ours: the largest dataset, 2,000,000 rows, and all online steps
            # CORL: the cosine goes on, so the rate climbs again from 0; official: constant.
            "actor_schedule": "constant" if official else "cosine_wrap",
            "noise": 0.03 if row.deterministic else 0.0,  # CORL; the stochastic actor samples
        }
    )

    if choice.variant == "sa":
        _use_adaptive_coefficient(config, choice)
    if choice.preset == "library":
        common.use_library_preset(config)
        config.online.actor_schedule = "constant"  # a learning rate that climbs from 0 is an accident of CORL's
    elif choice.preset == "short":
        common.use_short_preset(config)
    return config.lock()


def _row(choice: common.Choice) -> _Row:
    if choice.variant == "official":
        return _OFFICIAL_ANTMAZE if choice.is_antmaze else _OFFICIAL_LOCOMOTION
    return _Row(*_CORL[choice.task])


def _use_adaptive_coefficient(config: common.Config, choice: common.Choice) -> None:
    """Turns the config into IQL(SA), all ours.

    The selected transitions train the coefficient, which acts in all states: IQL prefers the good ones already.
    """
    config.coefficient = common.coefficient_config()
    config.coefficient.update(
        {
            "base": 1.0,  # the published strength
            "learning_rate": 3e-8,  # this and the following: as TD3+BC(SA) on most locomotion tasks
            "n_start": 1.0,
            "n_end": 3.0,
            "delta": 0.1,
            "mask_regularizer": False,
            "anneal": "linear",  # online; with kind constant too
            "anneal_floor": 0.2,  # as in SPOT; a short online phase does not reach it
        }
    )
    config.selection.rule = "success" if choice.is_antmaze else "top_fraction"
