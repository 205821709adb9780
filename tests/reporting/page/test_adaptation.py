"""The table of the state-adaptive coefficient."""

from ssar_jax.reporting.page.adaptation import adaptation_table
from ssar_jax.reporting.read.adaptation import read_adaptation
from tests.reporting.report_runs import ADAPTIVE, add_adaptation, groups_of, write_run


def test_means_over_seeds_and_where_n_stopped(tmp_path):
    """n is 1 and then 2; seed 0 was active for 10,000 updates alone."""
    add_adaptation(write_run(tmp_path / "a", config=ADAPTIVE))
    (group,), _ = groups_of(tmp_path)
    table = adaptation_table([read_adaptation(group)], "caption")
    cells = {heading: cell.text for heading, cell in zip(table.headings, table.rows[0], strict=True)}
    assert cells == {
        **{"task": "hopper-m", "system": "TD3+BC(SA)", "seeds": "2"},
        **{"beta min": "1.100", "beta mean": "1.200", "beta max": "1.300", "n, first": "1.00", "n, last": "2.00"},
        **{"n stopped by": "20,000, never", "negative weights, first": "90.0%", "negative weights, last": "40.0%"},
        **{"selected": "25.0%"},
    }
