"""The argument after the colon of --config, and the list of fields."""

import pytest
from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from configs.common import Choice, Field, did_you_mean, fields, parse_arg
from ssar_jax.errors import UserError


def parse(arg: str | None) -> Choice:
    return parse_arg(arg, algorithm="cql", variants=("sa", "plain"))


def test_defaults_are_the_first_variant_and_the_paper():
    assert parse("hopper-m") == Choice("cql", "hopper-m", "sa", "paper")


def test_settings_in_any_order_and_with_spaces():
    assert parse("hopper-m, preset=short, variant=plain") == Choice("cql", "hopper-m", "plain", "short")


@pytest.mark.parametrize(
    ("name", "task"),
    [("hopper-medium-v2", "hopper-m"), ("antmaze-large-diverse-v2", "antmaze-ld"), ("custom", "custom")],
)
def test_task_is_known_by_its_short_name(name, task):
    assert parse(name).task == task


def test_antmaze_is_recognized():
    assert parse("antmaze-u").is_antmaze
    assert not parse("hopper-m").is_antmaze


@pytest.mark.parametrize("arg", [None, "", " ", "preset=short", ",preset=short"])
def test_missing_task_lists_the_tasks(arg):
    with pytest.raises(UserError, match=r"no task: write configs/cql\.py:<task>.*halfcheetah-m, .*, custom"):
        parse(arg)


@pytest.mark.parametrize(
    ("arg", "message"),
    [
        ("hoper-m", r"'hoper-m'.*hopper-m"),
        ("coustom", r"'coustom'.*custom"),
        (
            "hopper-m,preset=sort",
            r"unknown preset 'sort'; cql has paper, library, short; did you mean short\?",
        ),
        ("hopper-m,variant=base", r"unknown variant 'base'; cql has sa, plain"),
        ("hopper-m,preset=", r"unknown preset ''; cql has paper, library, short"),
        ("hopper-m,short", r"unknown setting 'short' after hopper-m; did you mean preset=short\?"),
        ("hopper-m,varient=sa", r"unknown setting 'varient=sa' after hopper-m; did you mean variant\?"),
        ("hopper-m,seed=3", r"unknown setting 'seed=3'.*; write variant=\.\.\. or preset=\.\.\."),
        ("hopper-m,preset=paper,preset=short", "preset is given twice: paper and short"),
        ("ssar-embedded/hopper/medium-v0", r"write hopper-m with --config\.dataset\.source=embedded"),
    ],
)
def test_wrong_arguments_are_refused_with_a_hint(arg, message):
    with pytest.raises(UserError, match=message):
        parse(arg)


def test_did_you_mean_gives_near_names_only():
    assert did_you_mean("actr", ["actor", "critic"], prefix="--") == "; did you mean --actor?"
    assert did_you_mean("xyz", ["actor", "critic"]) == ""


def test_fields_lists_every_leaf_with_type_and_optionality():
    config = ConfigDict({"b": {"c": placeholder(float), "d": (1, 2)}, "a": 1})
    assert fields(config) == {
        "a": Field(1, int, False),
        "b.c": Field(None, float, True),
        "b.d": Field((1, 2), tuple, False),
    }
    config.b.c = 2
    assert fields(config)["b.c"] == Field(2.0, float, True)
