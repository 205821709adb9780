"""Tables of results: one row per group, published scores for D4RL's data alone."""

import csv
import io
import math

from ssar_jax.reporting.page import tables
from ssar_jax.reporting.page.document import Cell
from tests.reporting.report_runs import groups_of, write_run


def group_of(path, **options):
    write_run(path, **options)
    (group,), _ = groups_of(path)
    return group


def test_a_line_holds_means_over_seeds(tmp_path):
    """Final 20 and 30: mean 25, population deviation 5; best 90 and 30: 60."""
    row = tables.row_of(group_of(tmp_path / "run"))
    assert (row.task, row.system, row.preset) == ("hopper-m", "TD3+BC(SA)", "short")
    assert (row.data_source, row.physics) == ("embedded", "d4rl-v2")
    assert (row.updates, row.environment_steps, row.seeds) == (20_000, 0, 2)
    assert (row.final, row.final_std, row.best) == (25.0, 5.0, 60.0)
    assert math.isnan(row.before)
    assert math.isnan(row.area)
    assert row.published is None  # embedded data have no published scores
    assert row.commit == "9fc5-dirty"


def test_d4rl_data_have_published_scores(tmp_path):
    """Offline the paper has 101.6 ± 0.4 for TD3+BC(SA) on hopper-m, after fine-tuning 103.5 ± 0.4."""
    offline = tables.row_of(group_of(tmp_path / "offline", summary={"data_source": "d4rl"}))
    assert offline.published is not None
    assert str(offline.published.score.mean) == "101.6"
    summary = {"data_source": "d4rl", "phase": "online", "environment_steps": 100, "area_score": [3.0, 5.0]}
    online = tables.row_of(group_of(tmp_path / "online", summary=summary, phase="online"))
    assert online.published is not None
    assert str(online.published.score.mean) == "103.5"
    assert (online.before, online.area, online.environment_steps) == (1.5, 4.0, 100)
    other = tables.row_of(group_of(tmp_path / "ln", summary={"data_source": "d4rl", "variant": "base_ln"}))
    assert (other.system, other.published) == ("TD3+BC with LayerNorm", None)


def test_one_seed_has_no_spread(tmp_path):
    row = tables.row_of(group_of(tmp_path / "run", scores={0: (1.0,), 10: (7.0,)}, summary={"seeds": [3]}))
    assert math.isnan(row.final_std)
    assert tables.score_cell(row) == Cell("7.0", 7.0)


def test_a_seed_that_diverged_leaves_no_mean(tmp_path):
    """An empty cell is NaN, and a mean without it would flatter."""
    row = tables.row_of(group_of(tmp_path / "run", scores={0: (1.0, 2.0), 10: (7.0, None)}))
    assert math.isnan(row.final)
    assert tables.score_cell(row) == Cell("diverged")


def shown(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_a_line_of_the_results(tmp_path):
    group = group_of(tmp_path / "run")
    table = tables.results_table([group], "caption")
    assert " ".join(table.headings) == "task system updates seeds last best preset data physics commit"
    line = "hopper-m", "TD3+BC(SA)", "20,000", "2", "25.0 ± 5.0", "60.0", "short", "embedded", "d4rl-v2", "9fc5-dirty"
    assert shown(table) == [list(line)]
    summary = {"phase": "online", "environment_steps": 5_000, "area_score": [3.0, 5.0], "data_source": "d4rl"}
    online = tables.results_table([group_of(tmp_path / "online", phase="online", summary=summary)], "caption")
    seen = dict(zip(online.headings, shown(online)[0], strict=True))
    assert seen.items() >= {"steps": "5,000", "before": "1.5", "area": "4.0", "published": "103.5 ± 0.4"}.items()


def test_every_commit_of_a_line_is_shown(tmp_path):
    """Forty characters are cut to seven, and `-dirty` is kept."""
    commits = "0123456789" * 4, "9876543210" * 4 + "-dirty", None, "0123456789" * 4
    for seed, commit in enumerate(commits):
        summary = {"seeds": [seed], "versions": {"commit": commit}}
        write_run(tmp_path / str(seed), {0: (1.0,)}, summary=summary)
    (group,), _ = groups_of(tmp_path)
    assert shown(tables.results_table([group], "caption"))[0][-1] == "0123456, 9876543-dirty, unknown"
    assert tables.row_of(group).commit == f"{commits[0]}, {commits[1]}, unknown"


def test_csv_has_every_digit_and_the_command(tmp_path):
    group = group_of(tmp_path / "run")
    (read,) = csv.DictReader(io.StringIO(tables.write_csv([group])))
    assert list(read)[:8] == [
        "task",
        "system",
        "preset",
        "data_source",
        "physics",
        "updates",
        "environment_steps",
        "seeds",
    ]
    assert (read["final"], read["task"], read["command"]) == ("25.0", "hopper-m", group.runs[0].command)
