"""The examples of docs/ and CONTRIBUTING.md run as they are, and what the pages name exists."""

import re
from pathlib import Path

import numpy as np
import pytest

from configs import awac, bc, cal_ql, common, cql, edac, fam_cql, iql, rebrac, spot, td3_bc
from ssar_jax.algorithms import registry
from ssar_jax.behaviour import statistics

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page):
    """The Python blocks of a page, by the heading above them."""
    heading, found = "", {}
    for match in re.finditer(r"^## ([^\n]+)$|^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        if match[1]:
            heading = match[1]
        else:
            found.setdefault(heading, []).append(match[2])
    return found


def execute(sources, names):
    for source in sources:
        exec(compile(source, "docs", "exec"), names)


@pytest.mark.slow  # compiles three programs
def test_the_library_examples_run(capsys):
    """In order, in one namespace; the last one needs a finished run, which `tests/smoke` loads policies from."""
    found = blocks(ROOT / "docs" / "library.md")
    assert "load_policy(" in found.pop("The policy of a run")[0]
    offline, spot_first, calibrated, fine_tuning = found.values()
    names = {"__name__": "library"}
    execute(offline, names)
    assert names["trainer"].step == 20
    assert names["metrics"]["critic/loss"].shape == (2,)
    assert names["policy"](names["states"][:5]).shape == (5, 1)
    execute(spot_first, names)
    assert names["spot_trainer"].step == 20
    execute(calibrated, names)
    assert names["calibrated_trainer"].step == 20
    execute(fine_tuning, names)
    # 10 steps of warm-up, then an update per step.
    assert (names["tuner"].steps, names["tuner"].updates) == (30, 20)
    assert names["tuner"].policy(1)(names["states"][:5]).shape == (5, 1)
    assert capsys.readouterr().out


@pytest.fixture(scope="module")
def contributing():
    """The names of all examples of CONTRIBUTING.md, after they have run; the registry is put back."""
    names = {"__name__": "contributing"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
        found = blocks(ROOT / "CONTRIBUTING.md")
        for heading in ("Add an algorithm", "Add a coefficient", "Add a task"):
            execute(found.pop(heading), names)
            names[heading] = names["trainer"]
        assert not found
        names["registered"] = registry.get_entry("my_bc")
    return names


def test_a_new_algorithm_trains_and_is_named(contributing):
    assert contributing["registered"] is contributing["ENTRY"]
    assert contributing["Add an algorithm"].step == 10
    assert contributing["metrics"]["actor/loss"].shape == (2,)
    # The loss of a policy near 0 on actions uniform in [-1, 1] is about their variance, 1/3.
    np.testing.assert_allclose(contributing["metrics"]["actor/loss"], 1 / 3, atol=0.1)


def test_a_new_coefficient_learns(contributing):
    """It starts at 0.4; with the slack n delta = 0.1, squared, most actions are outside, and beta rises."""
    trainer = contributing["Add a coefficient"]
    assert trainer.advance(10)["coefficient/beta_mean"] > 0.4


def test_a_new_task_has_scores(contributing):
    task = contributing["task"]
    assert task.normalized_score(task.reference_min) == 0.0
    assert task.normalized_score(task.reference_max) == 100.0
    assert contributing["result"].returns.shape == (1, 2)
    assert len(contributing["dataset"].episodes) == 3


@every_page
def test_commands_name_what_exists(page):
    """Modules, config files, tasks and config fields."""
    text = page.read_text()
    for module in set(re.findall(r"python -m (experiments\.\w+)", text)):
        assert (ROOT / (module.replace(".", "/") + ".py")).is_file(), module
    for command in set(re.findall(r"ssar-jax (\w+)", text)):
        assert (ROOT / "experiments" / f"{command}.py").is_file(), command
    for config in set(re.findall(r"configs/\w+\.py", text)) - {"configs/my_bc.py"}:  # the example of CONTRIBUTING.md
        assert (ROOT / config).is_file(), config
    for argument in set(re.findall(r"configs/td3_bc\.py:([\w=,-]+\w)", text)):
        td3_bc.get_config(argument)
    known = {
        name
        for config in (awac, bc, cal_ql, cql, edac, fam_cql, iql, rebrac, spot, td3_bc)
        for name in common.fields(config.get_config("hopper-m"))
    }
    assert set(re.findall(r"--config\.([a-z_.]+[a-z])", text)) <= known


@every_page
def test_files_and_links_exist(page):
    """Links with their anchors, pictures, and paths in backquotes from the root or from the package."""
    text = page.read_text()
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.is_file(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}, link
    if page.name == "CHANGELOG.md":  # it names what was there before
        return
    for path in set(re.findall(r"`((?:\w+/)+\w+\.py|(?:ssar_jax|tests|experiments|configs|docs)/[\w/]*)`", text)):
        if path == "configs/my_bc.py":  # the example of CONTRIBUTING.md
            continue
        assert (ROOT / path).exists() or (ROOT / "ssar_jax" / path).exists(), path


def test_every_page_is_linked_from_the_readme():
    text = (ROOT / "README.md").read_text()
    for page in PAGES[1:]:
        assert f"({page.relative_to(ROOT)})" in text, page


def test_the_page_of_the_embedded_suite_is_the_generated_one():
    """Head and foot are those that `experiments.collect examine --table` writes; the tables are from its run."""
    page = (ROOT / "docs" / "embedded_suite.md").read_text()
    head, table, tail = re.split(r"((?:^\|.*\n)+)", page, maxsplit=1, flags=re.MULTILINE)
    command = re.search(r"`python -m experiments\.collect (examine [^`]*)` writes this page", head)
    tasks = re.search(r"collect embedded --tasks=([\w,-]*)`", head)
    assert command is not None
    assert tasks is not None
    generated = statistics._PAGE.format(tasks=tasks[1], size="", table=table, command=command[1])
    foot, examination = tail.split("\n## ", 1)
    assert head + table + foot == generated
    assert examination.startswith("Does it rank algorithms as D4RL does?")


# What keeps its name: a column of train.csv, and the old name of a field where results.md says that it changed.
KEPT = ("actor/regulariser_weight", "`mask_regulariser`")


@every_page
def test_old_names_are_gone(page):
    """British spellings, and modules that moved; the changelog names them."""
    if page.name == "CHANGELOG.md":
        return
    text = page.read_text()
    for name in KEPT:
        text = text.replace(name, "")
    gone = ("regularis", "normalis", "initialis", "optimis", "behaviour c", "algorithms/td3.py", "flops.py")
    assert [word for word in gone if word in text] == []
