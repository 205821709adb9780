"""The README's example runs as it stands."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_library_example_runs(capsys):
    example, *_ = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names: dict = {}
    exec(compile(example, "README.md", "exec"), names)
    assert names["trainer"].step == 20
    assert names["metrics"]["critic/loss"].shape == (2,)
    assert names["policy"](names["states"][:5]).shape == (5, 2)
    assert capsys.readouterr().out


def test_the_commands_name_what_exists():
    """Every module and file that a command names is there."""
    root, text = README.parent, README.read_text()
    for module in set(re.findall(r"python -m (experiments\.\w+)", text)):
        assert (root / (module.replace(".", "/") + ".py")).is_file(), module
    for config in set(re.findall(r"configs/\w+\.py", text)):
        assert (root / config).is_file(), config
    for link in re.findall(r"\]\(([\w/]+\.md)\)", text):
        assert (root / link).is_file(), link
