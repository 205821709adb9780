"""Cal-QL and Cal-QL(SA): `configs/cal_ql.py:<task>[,variant=<name>][,preset=paper|library|short]`.

Tasks: `halfcheetah`, `hopper`, `walker2d` with `-m -mr -me -e`, `antmaze` with `-u -ud -mp -md -lp -ld`, or
their D4RL names; `custom` for your own data (`--config.dataset.path=my.hdf5`).

Variants: `base` is the authors' program, `corl` CORL's, which has larger networks and does not calibrate online, `sa`
is CQL(SA) with the calibrated penalty. The published programs have AntMaze, none has locomotion: there the three are
CQL's settings with the calibrated penalty.

Presets: as in `configs/cql.py`. *Official* is github.com/nakamotoo/Cal-QL.
"""

import math

from ml_collections.config_dict import placeholder

from configs import common, cql

VARIANTS = ("base", "corl", "sa")


def get_config(arg: str | None = None) -> common.Config:
    """Returns the locked config for `<task>[,variant=...][,preset=...]`."""
    choice = common.parse_arg(arg, algorithm="cal_ql", variants=VARIANTS)
    # All that is not set below is CQL's, with its sources; official and CORL have the same numbers.
    source = {"base": "base", "corl": "base_finetune", "sa": "sa"}[choice.variant]
    config = cql.get_config(f"{choice.task},variant={source},preset={choice.preset}")
    config.unlock()
    config.algorithm, config.variant = choice.algorithm, choice.variant
    config.returns = {
        # Official and CORL on AntMaze: an episode that never reaches the goal, so that all of its raw rewards are 0,
        # counts as failing forever. Set it for custom data with such rewards.
        "sparse": choice.is_antmaze,
        # Official: online too, from the end of the episode; CORL: offline only.
        "bounds_online": choice.variant != "corl",
    }
    # Gain of the actor's orthogonal output kernel; unset: orthogonal_gain.
    config.actor.output_gain = placeholder(float)
    if choice.variant != "sa":
        config.online.buffer = "half"  # official and CORL: mixing_ratio=0.5
    if choice.variant == "base" and choice.is_antmaze:
        _use_official_networks(config)
    return config.lock()


def _use_official_networks(config: common.Config) -> None:
    config.dataset.clip_actions = 0.99999  # official
    config.critic.hidden_layers = (4, 4)  # official
    config.critic.difference_min = None  # official; CORL: -200
    config.actor.hidden_sizes = (256, 256)  # official
    config.actor.orthogonal_gain = math.sqrt(2.0)  # official
    config.actor.output_gain = 0.01  # official
