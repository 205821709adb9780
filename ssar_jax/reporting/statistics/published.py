"""The two results tables of the paper, with every digit as printed, and the display names of systems.

Tasks have the short names of this library. Scores are normalized as by D4RL, on its v2 datasets. The tables were copied
from the poster, which explains neither the ± nor the 95 % intervals of the totals: half an interval is between 0.76 and
2.29 times the sum of its column's ±, and two intervals are not centered on their totals. Some printed totals and
averages do not follow from their rows; `discrepancies` lists them, and nothing is corrected here.

References:
    Luo, Xie, Wang, Huang, "Learning to Trust Bellman Updates: Selective State-Adaptive Regularization for Offline RL",
    ICML 2025, https://arxiv.org/abs/2505.19923
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

SYSTEM_NAMES = {
    ("td3_bc", "base"): "TD3+BC",
    ("td3_bc", "sa"): "TD3+BC(SA)",
    ("td3_bc", "base_ln"): "TD3+BC with LayerNorm",
    ("cql", "base"): "CQL",
    ("cql", "sa"): "CQL(SA)",
    ("cql", "base_ln"): "CQL with LayerNorm",
    ("iql", "corl"): "IQL",
    ("iql", "official"): "IQL (authors' form)",
    ("iql", "sa"): "IQL(SA)",
    ("spot", "base"): "SPOT",
    ("spot", "sa"): "SPOT(SA)",
    ("fam_cql", "base"): "FamCQL",
}
"""(algorithm, variant) -> display name, for runs of older versions, whose summaries have none."""

AVERAGES = {"average": ("TD3+BC", "CQL"), "average(SA)": ("TD3+BC(SA)", "CQL(SA)")}
"""Columns of the offline table that average two others."""

DOMAINS = {"locomotion": ("halfcheetah", "hopper", "walker2d"), "antmaze": ("antmaze",)}
"""Domain -> prefixes of the names of its tasks; the tables have a total for each domain."""

_HALF_DIGIT = Decimal("0.05")  # all scores are printed with one decimal


class Score(NamedTuple):
    """The score of a system on a task.

    Attributes:
        mean: mean over seeds.
        spread: the number after the ±; None if there is none.
    """

    mean: Decimal
    spread: Decimal | None


class Total(NamedTuple):
    """The sum of the scores on the tasks of a domain, with its 95 % confidence interval.

    Attributes:
        value: the sum.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    value: Decimal
    low: Decimal
    high: Decimal


@dataclass(frozen=True)
class PublishedTable:
    """A published table.

    Attributes:
        systems: the columns, in the order of their source.
        rows: task -> system -> score; None for an empty cell.
        totals: domain -> system -> total; None for an empty cell. Empty if nothing is summed.
    """

    systems: tuple[str, ...]
    rows: Mapping[str, Mapping[str, Score | None]]
    totals: Mapping[str, Mapping[str, Total | None]]


class Discrepancy(NamedTuple):
    """A printed number that does not follow from the others.

    Attributes:
        row: the task, or the domain of a total.
        system: the column.
        printed: the number as printed.
        derived: the sum of the printed rows, or the mean of the two printed columns.
        within_rounding: whether rounding of the printed numbers can explain the difference.
    """

    row: str
    system: str
    printed: Decimal
    derived: Decimal
    within_rounding: bool


def tasks_of(table: PublishedTable, domain: str) -> tuple[str, ...]:
    """Returns the tasks of a domain, over which its totals are summed.

    Args:
        table: a table of the paper.
        domain: a name in `DOMAINS`.
    """
    return tuple(task for task in table.rows if task.startswith(DOMAINS[domain]))


def discrepancies(table: PublishedTable) -> tuple[Discrepancy, ...]:
    """Recomputes the averages and totals of a table and returns those that differ from the printed ones.

    Args:
        table: a table of the paper.
    """
    return (*_wrong_averages(table), *_wrong_totals(table))


def _wrong_averages(table: PublishedTable) -> Iterator[Discrepancy]:
    for average in table.systems:
        for task, row in table.rows.items() if average in AVERAGES else ():
            printed = _mean(row[average])
            derived = sum((_mean(row[system]) for system in AVERAGES[average]), Decimal(0)) / Decimal(2)
            difference = abs(printed - derived)
            if difference > _HALF_DIGIT:  # an average that ends in 5 may be rounded either way
                yield Discrepancy(
                    row=task,
                    system=average,
                    printed=printed,
                    derived=derived,
                    within_rounding=difference <= 2 * _HALF_DIGIT,
                )


def _wrong_totals(table: PublishedTable) -> Iterator[Discrepancy]:
    for domain, totals in table.totals.items():
        tasks = tasks_of(table, domain)
        for system, total in totals.items():
            derived = sum((_mean(table.rows[task][system]) for task in tasks), Decimal(0))
            if total is not None and total.value != derived:
                reach = _HALF_DIGIT * (len(tasks) + 1)  # every row and the total may have been rounded
                yield Discrepancy(
                    row=domain,
                    system=system,
                    printed=total.value,
                    derived=derived,
                    within_rounding=abs(total.value - derived) <= reach,
                )


def _mean(score: Score | None) -> Decimal:
    return Decimal(0) if score is None else score.mean


def parse_table(text: str) -> PublishedTable:
    """Parses a table with cells `mean±spread`, `mean` or `-`, and totals `total,low,high`, if it has any.

    Args:
        text: lines of cells with spaces between them: a heading, in which `_` stands for a space in a name, and a line
            for every task and for every total.
    """
    header, *lines = (line.split() for line in text.strip().splitlines())
    systems = tuple(name.replace("_", " ") for name in header[1:])
    cells = {line[0]: dict(zip(systems, line[1:], strict=True)) for line in lines}
    return PublishedTable(
        systems=systems,
        rows={
            task: {system: _score(cell) for system, cell in row.items()}
            for task, row in cells.items()
            if task not in DOMAINS
        },
        totals={
            domain: {system: _total(cell) for system, cell in cells[domain].items()}
            for domain in DOMAINS
            if domain in cells
        },
    )


def _score(cell: str) -> Score | None:
    mean, _, spread = cell.partition("±")
    return None if cell == "-" else Score(mean=Decimal(mean), spread=Decimal(spread) if spread else None)


def _total(cell: str) -> Total | None:
    if cell == "-":
        return None
    value, low, high = (Decimal(number) for number in cell.split(","))
    return Total(value=value, low=low, high=high)


OFFLINE = parse_table("""
task            TD3+BC               TD3+BC(SA)            CQL                  CQL(SA)             average              average(SA)
halfcheetah-m   48.3±0.2             56.5±3.7              47.1±0.2             63.9±1.2            47.7                 60.0
hopper-m        58.7±3.9             101.6±0.4             65.6±3.5             89.1±9.7            62.1                 95.4
walker2d-m      82.3±2.2             87.9±2.4              81.6±1.2             84.9±1.7            81.9                 86.4
halfcheetah-mr  44.4±0.6             49.6±0.3              45.7±0.4             53.8±0.4            45.0                 51.7
hopper-mr       66.4±27.1            101.6±0.7             92.3±9.3             101.4±2.1           79.3                 101.5
walker2d-mr     81.6±7.1             93.5±2.0              79.2±1.9             94.7±3.3            80.4                 94.1
halfcheetah-me  92.9±2.0             94.9±1.2              93.0±4.2             102.1±1.2           93.0                 98.5
hopper-me       101.4±8.2            103.8±6.7             97.8±8.6             109.6±3.2           99.6                 106.7
walker2d-me     110.3±0.5            112.5±1.4             109.2±0.2            112.2±0.9           109.8                112.4
halfcheetah-e   95.9±1.1             95.5±1.3              97.0±0.5             105.9±0.9           96.5                 100.7
hopper-e        108.4±3.6            109.8±4.3             108.7±2.8            111.4±0.2           108.6                110.6
walker2d-e      110.1±0.5            109.6±0.3             110.1±0.2            110.2±0.2           110.1                110.0
locomotion      1000.8,917.9,1083.7  1116.7,1096.2,1137.3  1030.4,990.4,1070.1  1139.1,1111,1167.3  1015.6,937.5,1078.6  1128.0,1093.2,1162.8
antmaze-u       88.6±4.6             93.4±3.3              92.8±1.5             96.0±2.3            90.7                 94.7
antmaze-ud      43.2±18.8            50.0±5.4              27.8±13.1            80.2±7.9            35.5                 65.1
antmaze-mp      0.0±0.0              49.4±3.4              67.0±4.2             70.2±6.7            33.5                 59.8
antmaze-md      0.0±0.0              47.6±12.1             60.5±9.2             71.6±9.3            30.3                 59.6
antmaze-lp      0.0±0.0              18.0±4.6              24.8±9.8             53.0±4.1            12.4                 35.5
antmaze-ld      0.0±0.0              17.6±9.8              21.2±12.1            35.8±18.9           10.6                 26.7
antmaze         131.8,78.2,185.5     276.0,246.5,305.5     294.1,230.9,357.3    406.8,334.9,478.7   213.0,130.1,295.8    341.4,273.7,409.1
""")  # noqa: E501
"""Results of offline training, with averages and totals."""

ONLINE = parse_table("""
task            IQL                  SPOT                  FamCQL                CQL                   TD3+BC                TD3+BC(SA)            CQL(SA)
halfcheetah-m   49.7                 58.6                  65.3                  48.0                  52.5                  82.9±2.5              95.3±1.5
hopper-m        75.2                 99.9                  101.0                 63.8                  63.7                  103.5±0.4             99.3±3.8
walker2d-m      80.8                 82.5                  93.3                  82.8                  86.6                  101.6±7.4             105.9±3.7
halfcheetah-mr  45.2                 57.6                  73.1                  49.4                  49.3                  73.1±3.0              79.4±2.3
hopper-mr       91.1                 97.3                  102.8                 101.3                 97.0                  102.9±0.9             103.1±0.2
walker2d-mr     89.2                 86.4                  103.6                 87.9                  89.9                  100.9±5.4             116.3±2.1
halfcheetah-me  92.4                 91.9                  95.7                  95.7                  93.2                  98.5±4.1              115.4±1.5
hopper-me       109.6                106.5                 104.4                 110.8                 99.8                  111.2±2.9             109.5±5.4
walker2d-me     115.0                110.6                 110.4                 109.8                 115.8                 115.7±5.5             117.5±2.5
halfcheetah-e   96.4                 94.1                  106.5                 97.3                  95.8                  102.5±0.9             113.3±0.8
hopper-e        100.3                111.8                 109.6                 111.9                 109.5                 112.0±2.4             110.8±1.6
walker2d-e      112.5                109.9                 112.6                 109.7                 111.4                 113.8±0.5             112.6±1.2
locomotion      1057.4,981.5,1133.2  1107.1,1093.1,1121.4  1178.3,1165.3,1191.5  1068.4,1058.9,1080.1  1064.5,1039.8,1089.2  1218.6,1165.4,1248.9  1278.4,1254.9,1303.5
antmaze-u       83.0                 98.8                  -                     95.2                  72.8                  96.5±3.2              99.0±0.6
antmaze-ud      38.2                 56.8                  -                     59.2                  39.8                  87.2±5.0              95.0±2.5
antmaze-mp      78.8                 92.5                  -                     77.0                  0.0                   76.5±16.3             88.0±2.4
antmaze-md      80.2                 87.0                  -                     84.0                  0.2                   63.0±36.1             89.0±3.2
antmaze-lp      42.8                 60.0                  -                     51.8                  0.0                   35.5±13.2             66.5±13.4
antmaze-ld      40.2                 63.0                  -                     38.2                  0.0                   30.5±15.0             56.8±18.2
antmaze         363.2,302.8,423.7    458.1,384.0,534.0     -                     405.5,327.9,483.1     112.8,79.5,146.1      389.2,316.1,462.4     494.3,415.6,573.4
""")  # noqa: E501
"""Results after 250,000 environment steps of online fine-tuning."""
