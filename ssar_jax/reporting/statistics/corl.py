"""Scores of further baselines as CORL published them, with every digit as printed, and all published scores by system.

Tasks have the short names of this library; CORL has no expert data. Scores are normalized as by D4RL, on its v2
datasets: the last evaluation ± the standard deviation over seeds, after 1,000,000 updates offline (SAC-N and EDAC:
3,000,000) and, in the second table, 1,000,000 environment steps online (the SSAR paper's have 250,000). Cal-QL is that
of CORL, here the variant `corl`; its offline scores are those at the start of the online phase, since CORL has no
offline program of it.

References:
    Tarasov et al., "CORL: Research-oriented Deep Offline Reinforcement Learning Library", 2022,
    https://arxiv.org/abs/2210.07105; the tables are those of README.md in https://github.com/corl-team/CORL, commit
    eeeeef2671235fcce3a3eb255576a207d78840e6, sections "Offline, Last Scores" and "Offline-to-Online, Scores".
"""

from typing import NamedTuple

from ssar_jax.reporting.statistics.published import OFFLINE, ONLINE, PublishedTable, Score, parse_table

CORL_OFFLINE = parse_table("""
task            AWAC          ReBRAC        SAC-N         EDAC          Cal-QL_(CORL's_form)
halfcheetah-m   50.02±0.27    64.04±0.68    68.20±1.28    67.70±1.04    -
hopper-m        63.02±4.56    102.29±0.17   40.82±9.91    101.70±0.28   -
walker2d-m      68.52±27.19   85.82±0.77    87.47±0.66    93.36±1.38    -
halfcheetah-mr  45.13±0.88    51.18±0.31    60.70±1.01    62.06±1.10    -
hopper-mr       98.88±2.07    94.98±6.53    100.33±0.78   99.66±0.81    -
walker2d-mr     80.62±3.58    84.25±2.25    78.99±0.50    87.10±2.78    -
halfcheetah-me  95.00±0.61    103.80±2.95   98.96±9.31    104.76±0.64   -
hopper-me       101.90±6.22   109.45±2.34   101.31±11.63  105.19±10.08  -
walker2d-me     111.44±1.62   111.86±0.43   114.93±0.41   114.75±0.74   -
antmaze-u       56.75±9.09    97.75±1.48    0.00±0.00     0.00±0.00     76.75±7.53
antmaze-ud      54.75±8.01    83.50±7.02    0.00±0.00     0.00±0.00     32.00±27.79
antmaze-mp      0.00±0.00     89.50±3.35    0.00±0.00     0.00±0.00     71.75±3.27
antmaze-md      0.00±0.00     83.50±8.20    0.00±0.00     0.00±0.00     62.00±4.30
antmaze-lp      0.00±0.00     52.25±29.01   0.00±0.00     0.00±0.00     31.75±8.87
antmaze-ld      0.00±0.00     64.00±5.43    0.00±0.00     0.00±0.00     44.00±8.69
""")
"""Results of offline training, without totals: CORL prints averages over fewer tasks than the paper."""

CORL_ONLINE = parse_table("""
task            AWAC          ReBRAC        Cal-QL_(CORL's_form)
antmaze-u       98.75±1.09    74.75±42.59   99.75±0.43
antmaze-ud      0.00±0.00     98.00±2.92    98.50±1.12
antmaze-mp      0.00±0.00     98.00±1.58    98.75±1.64
antmaze-md      0.00±0.00     98.75±0.43    98.25±1.48
antmaze-lp      0.00±0.00     31.50±33.56   97.25±1.79
antmaze-ld      0.00±0.00     72.25±41.73   91.50±3.91
""")
"""Results after 1,000,000 environment steps of online fine-tuning, on AntMaze alone."""

PAPER, CORL = "paper", "CORL"
"""The sources of published scores: the SSAR paper and CORL."""


class Published(NamedTuple):
    """A published score and its source.

    Attributes:
        score: the score.
        source: `PAPER` or `CORL`.
    """

    score: Score
    source: str


def published_tables(phase: str) -> dict[str, PublishedTable]:
    """Returns the published tables of a phase by source; no system is in two of them.

    Args:
        phase: `offline` or `online`.
    """
    return {PAPER: ONLINE, CORL: CORL_ONLINE} if phase == "online" else {PAPER: OFFLINE, CORL: CORL_OFFLINE}


def find_published(phase: str, task: str, system: str) -> Published | None:
    """Returns the published score of a system on a task; None if there is none.

    Args:
        phase: `offline` or `online`.
        task: short name of the task.
        system: display name of the system.
    """
    for source, table in published_tables(phase).items():
        score = table.rows.get(task, {}).get(system)
        if score is not None:
            return Published(score, source)
    return None
