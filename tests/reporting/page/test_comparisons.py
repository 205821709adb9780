"""Blocks of comparable results, the paper's tables with ours, and statistics over tasks and seeds."""

import pytest

from ssar_jax.reporting.page import comparisons, paper_tables, tables
from ssar_jax.reporting.page.document import Cell, Span
from ssar_jax.reporting.statistics import blocks
from ssar_jax.reporting.statistics.published import OFFLINE
from tests.reporting.report_runs import groups_of, write_run, write_runs


@pytest.fixture
def found(tmp_path):
    """The three blocks of `write_runs`."""
    groups, _ = groups_of(write_runs(tmp_path))
    return blocks.blocks_of(groups)


def line(table, name):
    """The cells of a row under their headings, with the system's name first where there are spans."""
    over = [span.text for span in table.spans for _ in range(span.columns)] or [""] * len(table.headings)
    headings = [" ".join(filter(None, both)) for both in zip(over, table.headings, strict=True)]
    (cells,) = (row for row in (*table.rows, *table.foot) if row[0].text == name)
    return {heading: cell.text for heading, cell in zip(headings, cells, strict=True)}


def test_results_that_are_not_comparable_are_separate(found):
    assert [(block.title, len(block.groups)) for block in found] == [
        ("offline, d4rl data, preset short, d4rl-v2 physics", 4),
        ("offline, embedded data, preset short, d4rl-v2 physics", 1),
        ("online, d4rl data, preset short, d4rl-v2 physics", 1),
    ]
    assert {system: list(groups) for system, groups in found[0].systems.items()} == {
        "TD3+BC": ["hopper-m", "walker2d-m"],
        "TD3+BC(SA)": ["hopper-m", "walker2d-m"],
    }


def test_our_scores_are_next_to_the_papers(found):
    """hopper-m: 20 and 30 for the base; 40 and 50 for SSAR, against the printed 101.6 ± 0.4."""
    table = paper_tables.block_table(found[0])
    assert [row[0].text for row in table.rows] == list(OFFLINE.rows)
    hopper = line(table, "hopper-m")
    assert hopper["TD3+BC, 2 seeds ours"] == "25.0 ± 5.0"
    assert hopper["TD3+BC(SA), 2 seeds ours"] == "45.0 ± 5.0"
    assert hopper["TD3+BC(SA), 2 seeds paper"] == "101.6 ± 0.4"
    assert (hopper["preset"], hopper["data"], hopper["physics"]) == ("short", "d4rl", "d4rl-v2")
    assert "CQL paper" in hopper
    assert "CQL ours" not in hopper
    assert line(table, "antmaze-ld")["TD3+BC, 2 seeds ours"] == "–"
    assert line(table, "locomotion")["TD3+BC, 2 seeds ours"] == "2 of 12 tasks"
    assert line(table, "locomotion")["TD3+BC, 2 seeds paper"] == "1000.8 [917.9, 1083.7]"
    assert sum(span.columns for span in table.spans) == len(table.headings)


def test_systems_that_the_paper_lacks_are_next_to_corls_scores(tmp_path):
    """hopper-m: 20 and 30 against the printed 102.29 ± 0.17; a variant that neither has is last."""
    for variant in ("base", "sa"):
        summary = {"data_source": "d4rl", "algorithm": "rebrac", "variant": variant}
        summary["system"] = {"base": "ReBRAC", "sa": "ReBRAC(SA)"}[variant]
        write_run(tmp_path / variant, {0: (20.0, 30.0)}, summary=summary)
    (block,) = blocks.blocks_of(groups_of(tmp_path)[0])
    table = paper_tables.block_table(block)
    hopper = line(table, "hopper-m")
    assert hopper["ReBRAC, 2 seeds ours"] == "25.0 ± 5.0"
    assert hopper["ReBRAC, 2 seeds CORL"] == "102.29 ± 0.17"
    assert hopper["ReBRAC(SA), 2 seeds ours"] == "25.0 ± 5.0"
    assert "ReBRAC(SA), 2 seeds CORL" not in hopper
    assert hopper["EDAC CORL"] == "101.70 ± 0.28"
    assert line(table, "hopper-e")["EDAC CORL"] == "–"
    assert sum(span.columns for span in table.spans) == len(table.headings)
    (row,) = (tables.row_of(group) for group in block.groups if group.key.variant == "base")
    assert tables.results_table(block.groups, "").rows[0][6].text == "102.29 ± 0.17 (CORL)"
    assert row.published.source == "CORL"


def test_a_total_adds_all_tasks_of_a_domain(tmp_path):
    """Six mazes with 20 and 30: each 25, together 150; the average of TD3+BC and CQL, where CQL has 10 more, 180."""
    for algorithm, more in (("td3_bc", 0.0), ("cql", 10.0)):
        for task in ("u", "ud", "mp", "md", "lp", "ld"):
            summary = {"task": f"antmaze-{task}", "data_source": "d4rl", "variant": "base", "algorithm": algorithm}
            write_run(tmp_path / algorithm / task, {0: (20.0 + more, 30.0 + more)}, summary=summary)
    (block,) = blocks.blocks_of(groups_of(tmp_path)[0])
    table = paper_tables.block_table(block)
    total = line(table, "antmaze")
    # A resample draws twelve times 10 or 15: 120 + 5 Binomial(12, 1/2), whose 2.5 % and 97.5 % quantiles are 3 and 9.
    assert total["TD3+BC, 2 seeds ours"] == "150.0 [135.0, 165.0]"
    assert total["average ours"] == "180.0"
    assert line(table, "antmaze-u")["average ours"] == "30.0"


def test_a_total_adds_every_task_over_its_own_seeds(tmp_path):
    """Five mazes with seeds of 20, 20, 30, 30 and one with two of 15: 5 * 25 + 15 = 140; two of each make 115.

    A resample draws twenty times 20 / 4 or 30 / 4, and 15: 115 + 2.5 Binomial(20, 1/2), whose quantiles are 6 and 14.
    """
    for task in ("u", "ud", "mp", "md", "lp", "ld"):
        scores = (15.0, 15.0) if task == "ld" else (20.0, 20.0, 30.0, 30.0)
        write_run(tmp_path / task, {0: scores}, summary={"task": f"antmaze-{task}", "seeds": list(range(len(scores)))})
    (block,) = blocks.blocks_of(groups_of(tmp_path)[0])
    table = paper_tables.block_table(block)
    assert [row[1].value for row in table.rows] == [25.0, 25.0, 25.0, 25.0, 25.0, 15.0]
    assert line(table, "antmaze")["TD3+BC(SA), 2–4 seeds"] == "140.0 [130.0, 150.0]"


def test_a_total_with_a_diverged_seed_is_left_out(tmp_path):
    for task in ("u", "ud", "mp", "md", "lp", "ld"):
        last = (20.0, None if task == "ld" else 30.0)
        write_run(tmp_path / task, {0: last}, summary={"task": f"antmaze-{task}"})
    (block,) = blocks.blocks_of(groups_of(tmp_path)[0])
    table = paper_tables.block_table(block)
    assert line(table, "antmaze-ld")["TD3+BC(SA), 2 seeds"] == "diverged"
    assert line(table, "antmaze")["TD3+BC(SA), 2 seeds"] == "–"
    scores = blocks.scores_of(block.systems["TD3+BC(SA)"])
    assert (scores.seeds, scores.left_out, scores.values.shape) == ((0,), (1,), (1, 6))
    (aggregates,) = comparisons.aggregates_table(block).rows
    assert [cell.text for cell in aggregates[:4]] == ["antmaze", "TD3+BC(SA)", "6", "1 of 2"]


def test_embedded_data_have_no_column_of_the_paper(found):
    table = paper_tables.block_table(found[1])
    assert table.headings == ["task", "TD3+BC(SA), 2 seeds", "preset", "data", "physics"]
    assert (table.spans, [row[0].text for row in table.rows]) == ([], ["antmaze-u"])
    assert line(table, "antmaze-u")["data"] == "embedded"


def test_without_runs_the_papers_scores_are_alone():
    table = paper_tables.published_results("online")
    assert table.caption == "online, as published"
    assert "ours" not in table.headings
    assert table.spans[1] == Span("IQL", 1)
    scores = {**{"IQL": "75.2", "SPOT": "99.9", "FamCQL": "101.0", "CQL": "63.8", "TD3+BC": "63.7"},
              **{"TD3+BC(SA)": "103.5 ± 0.4", "CQL(SA)": "99.3 ± 3.8"}}  # fmt: skip
    corl = {f"{name} CORL": "–" for name in ("AWAC", "ReBRAC", "Cal-QL (CORL's form)")}  # has AntMaze alone
    papers = {f"{name} paper": cell for name, cell in scores.items()}
    assert line(table, "hopper-m") == {"task": "hopper-m", **papers, **corl}
    assert line(table, "antmaze-lp")["ReBRAC CORL"] == "31.50 ± 33.56"
    assert line(table, "antmaze")["ReBRAC CORL"] == "–"  # no total
    assert sum(span.columns for span in table.spans) == len(table.headings)


def test_discrepancies_of_the_paper_are_listed():
    sentence = paper_tables.discrepancy_sentence("offline")
    assert "CQL locomotion is printed as 1030.4, but its parts give 1027.3" in sentence


def test_aggregates_of_a_system(found):
    """SSAR: 40 and 50 on hopper-m, 15 and 25 on walker2d-m: means 45 and 20, all 32.5, the middle two of four also."""
    table = comparisons.aggregates_table(found[0])
    assert table.headings == ["domain", "system", "tasks", "seeds", "IQM", "median", "mean", "optimality gap"]
    base, adaptive = table.rows
    assert [cell.text for cell in adaptive[:4]] == ["locomotion", "TD3+BC(SA)", "2", "2"]
    assert [cell.value for cell in adaptive[4:]] == [32.5, 32.5, 32.5, 67.5]
    assert adaptive[6].text == "32.5 [27.5, 37.5]"  # either task alone draws its lower or its higher seed twice
    assert base[1].text == "TD3+BC"


def test_ssar_against_its_base(found):
    """hopper-m: both SSAR seeds beat both of the base, 1; walker2d-m, 15 and 25 against 20 and 30: one pair in four."""
    (row,) = comparisons.improvements_table(found[0]).rows
    assert [cell.text for cell in row[:5]] == ["locomotion", "TD3+BC(SA)", "TD3+BC", "2", "2"]
    assert row[5].value == (1.0 + 0.25) / 2
    assert comparisons.improvements_table(found[1]) is None


def test_profiles_of_a_domain(found):
    """Of 40, 50, 15 and 25 all lie above 0, half above 30, none above 100."""
    thresholds, profiles = comparisons.profiles(found[0], "locomotion")
    shares = dict(zip(thresholds.tolist(), profiles["TD3+BC(SA)"].estimate.tolist(), strict=True))
    assert (shares[0.0], shares[30.0], shares[100.0]) == (1.0, 0.5, 0.0)
    assert comparisons.profiles(found[0], "antmaze")[1] == {}


def test_tasks_without_a_scale_are_not_averaged(tmp_path):
    write_run(tmp_path / "a", summary={"task": "custom"})
    (block,) = blocks.blocks_of(groups_of(tmp_path)[0])
    assert comparisons.aggregates_table(block) is None
    assert paper_tables.block_table(block).foot == []
    assert paper_tables.block_table(block).rows[0][1] == Cell(
        "25.0 ± 5.0", 25.0, paper_tables.details_name(block.groups[0])
    )
