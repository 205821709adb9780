"""The README's example runs as it stands."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_library_examples_run(capsys):
    """The first trains offline; the second goes on from its names, online."""
    first, second, *_ = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names: dict = {}
    exec(compile(first, "README.md", "exec"), names)
    assert names["trainer"].step == 20
    assert names["metrics"]["critic/loss"].shape == (2,)
    assert names["policy"](names["states"][:5]).shape == (5, 2)
    assert capsys.readouterr().out
    exec(compile(second, "README.md", "exec"), names)
    # 10 steps of warm-up, then an update per step.
    assert (names["tuner"].steps, names["tuner"].updates) == (30, 20)
    assert names["tuner"].policy(0)(names["states"][:5]).shape == (5, 1)


def test_the_commands_name_what_exists():
    """Every module and file that a command names is there."""
    root, text = README.parent, README.read_text()
    for module in set(re.findall(r"python -m (experiments\.\w+)", text)):
        assert (root / (module.replace(".", "/") + ".py")).is_file(), module
    for config in set(re.findall(r"configs/\w+\.py", text)):
        assert (root / config).is_file(), config
    for link in re.findall(r"\]\(([\w/]+\.md)\)", text):
        assert (root / link).is_file(), link
