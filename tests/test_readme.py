"""The README's example runs as it is, its two set-up commands stay, and it stays short."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_example_runs(capsys):
    """One block with one import from ssar_jax."""
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(re.findall(r"^(?:from|import) ssar_jax", example, re.MULTILINE)) == 1
    names: dict = {}
    exec(compile(example, "README.md", "exec"), names)
    observations = names["dataset"].observations[:5]
    assert names["trainer"].step == 20
    assert names["metrics"]["critic/loss"].shape == (2,)
    assert names["trainer"].policy(1)(observations).shape == (5, 1)
    assert capsys.readouterr().out


def test_the_set_up_commands_are_these():
    text = README.read_text()
    for command in (
        "pip install -e . && python -m experiments.offline --config=configs/td3_bc.py:halfcheetah-m,preset=short\n",
        "pip install -e '.[dev]' && pytest\n",
    ):
        assert f"```bash\n{command}```" in text


def test_it_is_short():
    assert len(README.read_text().splitlines()) <= 130
