"""Overrides: split from a command line, applied, and refused with a hint."""

import pytest

from configs import td3_bc
from configs.common import fields
from experiments.cli.overrides import apply_overrides, nearest_fields, split_overrides
from ssar_jax.errors import UserError

KNOWN = list(fields(td3_bc.get_config("hopper-m")))


def test_both_forms_are_split_from_the_other_flags():
    arguments = [
        "prog",
        "--config.seed=3",
        "--workdir",
        "w",
        "--config.num_seeds",
        "5",
        "-config.discount=1",
        "x",
    ]
    assert split_overrides(arguments) == (
        [("seed", "3"), ("num_seeds", "5"), ("discount", "1")],
        ["prog", "--workdir", "w", "x"],
    )


def test_a_negative_number_is_a_value_and_a_flag_is_not():
    assert split_overrides(["--config.a", "-1"]) == ([("a", "-1")], [])
    assert split_overrides(["--config.a", "-.5"]) == ([("a", "-.5")], [])
    assert split_overrides(["--config.a", "--resume"]) == ([("a", None)], ["--resume"])
    assert split_overrides(["--config.a", "-v", "1"]) == ([("a", None)], ["-v", "1"])
    assert split_overrides(["--config.a"]) == ([("a", None)], [])


def test_negated_and_valued_and_after_the_double_dash():
    assert split_overrides(["--noconfig.a", "x"]) == ([("a", "false")], ["x"])
    assert split_overrides(["--noconfig.a=true"]) == ([], ["--noconfig.a=true"])
    assert split_overrides(["--config.a=b=c"]) == ([("a", "b=c")], [])
    assert split_overrides(["--", "--config.a=1"]) == ([], ["--", "--config.a=1"])
    assert split_overrides(["--config=x.py:t", "--configs.a=1"]) == ([], ["--config=x.py:t", "--configs.a=1"])


def test_overrides_set_fields_in_their_types_and_the_last_one_counts():
    config = td3_bc.get_config("hopper-m")
    apply_overrides(
        config,
        [
            ("num_updates", "2e4"),
            ("num_updates", "20_001"),
            ("critic.layer_norm", None),
            ("selection.threshold", "none"),
            ("selection.fraction", "1"),
            ("actor.hidden_sizes", "(64, 64)"),
        ],
    )
    assert config.num_updates == 20_001
    assert config.critic.layer_norm is True
    assert config.selection.threshold is None
    assert (config.selection.fraction, type(config.selection.fraction)) == (1.0, float)
    assert config.actor.hidden_sizes == (64, 64)
    apply_overrides(config, [("selection.threshold", "2000"), *split_overrides(["--noconfig.critic.layer_norm"])[0]])
    assert (config.selection.threshold, type(config.selection.threshold)) == (2000.0, float)
    assert config.critic.layer_norm is False


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "lr",
            "3",
            "unknown field --config.lr; did you mean --config.actor.learning_rate, "
            "--config.coefficient.learning_rate, --config.critic.learning_rate?",
        ),
        ("actor.lr", "3", "unknown field --config.actor.lr; did you mean --config.actor.learning_rate?"),
        (
            "evaluation.every",
            "3",
            "unknown field --config.evaluation.every; evaluation has episodes, interval, max_episode_steps, "
            "overlap; did you mean --config.checkpoint.every?",
        ),
        ("selection.zzz", "3", "unknown field --config.selection.zzz; selection has expectile, fraction, "),
        ("num_update", "3", "unknown field --config.num_update; did you mean --config.num_updates"),
        ("zzz", "3", "unknown field --config.zzz; the fields are actor, batch_size, "),
        ("", "3", "unknown field --config.; the fields are actor, "),
        ("actor", "{}", "--config.actor is a group; set one of its fields: --config.actor.hidden_sizes, "),
        ("actor.learning_rate.x", "3", "unknown field --config.actor.learning_rate.x"),
        ("seed", None, "--config.seed has no value; write --config.seed=<an integer such as 20_000 or 2e4>"),
        ("dataset.path", "", "--config.dataset.path has no value; write --config.dataset.path=<a text>"),
        ("num_updates", "2.5", "--config.num_updates=2.5 is not an integer such as 20_000 or 2e4"),
        ("seed", "none", "--config.seed=none is not an integer such as 20_000 or 2e4"),
        ("critic.layer_norm", "perhaps", "--config.critic.layer_norm=perhaps is not true or false"),
        ("task", "hopper-e", "--config.task cannot be set; choose it in --config="),
    ],
)
def test_wrong_overrides_are_named_with_a_hint(name, text, message):
    with pytest.raises(UserError) as caught:
        apply_overrides(td3_bc.get_config("hopper-m"), [(name, text)])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("learning_rate", ["actor.learning_rate", "coefficient.learning_rate", "critic.learning_rate"]),
        ("critic.lerning_rate", ["critic.learning_rate"]),
        ("evaluate.interval", ["evaluation.interval"]),
        ("episodes", ["evaluation.episodes"]),
        ("online.steps", ["online.num_steps"]),
        ("steps", ["coefficient.decay_steps", "dataset.embedded.num_steps", "evaluation.max_episode_steps"]),
        ("gibberish", []),
    ],
)
def test_nearest_fields(name, nearest):
    found = nearest_fields(name, KNOWN)
    assert found[: len(nearest)] == nearest
    assert len(found) <= 3
    assert bool(found) == bool(nearest)


def test_an_old_name_is_accepted_with_a_warning(caplog):
    config = td3_bc.get_config("hopper-m")
    apply_overrides(config, [("coefficient.mask_regulariser", "false")])
    assert config.coefficient.mask_regularizer is False
    (record,) = caplog.records
    message = "--config.coefficient.mask_regulariser is the old name of coefficient.mask_regularizer"
    assert record.getMessage() == message
