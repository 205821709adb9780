"""Writes the pages of the site that are derived from the code: the API reference, and a page for every system."""

import importlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import ssar_jax
from configs.common import PRESETS, fields
from experiments.cli.config_files import config_files
from ssar_jax.algorithms import registry
from ssar_jax.data.tasks import TASKS
from ssar_jax.errors import UserError
from ssar_jax.reporting.statistics import corl
from ssar_jax.reporting.statistics.published import Score

# Sections of the API reference, by the parts of the library that define the names.
_SECTIONS = {
    "Data": ("data", "transitions"),
    "Algorithms": ("algorithms", "types"),
    "Coefficients": ("coefficients",),
    "Training and evaluation": ("training",),
    "Environments, runs and errors": ("envs", "runs", "errors"),
}
_EXAMPLES = ("hopper-m", "antmaze-u")
"""Tasks whose settings a system's page shows: one of locomotion and one of navigation."""


_SOURCES = {
    corl.PAPER: "the tables of the [SSAR paper](https://arxiv.org/abs/2505.19923)",
    corl.CORL: "[CORL](https://github.com/corl-team/CORL), which fine-tunes for 1,000,000 environment steps",
}

# Pages of the root, and the page of the site that includes each.
_ROOT_PAGES = {"README.md": "index.rst", "CONTRIBUTING.md": "contributing.rst", "CHANGELOG.md": "changelog.rst"}


def site_links(text: str) -> str:
    """Rewrites links that are right in the repository to links of the site.

    A page of the root and one of `docs/` name the same page differently. An algorithm's file leads to the page of its
    system; other files that are no pages keep their names as code.

    Args:
        text: Markdown.
    """
    for file, page in _ROOT_PAGES.items():
        text = re.sub(rf"\]\((?:\.\./)?{re.escape(file)}(#[^)]*)?\)", rf"]({page}\1)", text)
    text = text.replace("](docs/", "](")
    for algorithm in config_files():
        text = text.replace(f"](../ssar_jax/algorithms/{algorithm}.py)", f"](generated/{algorithm}.md)")
    files = r"\[([^\]]*)\]\((?:\.\./)?((?:ssar_jax|configs|experiments)/[^)]*|CITATION\.cff)\)"
    return re.sub(files, lambda match: match[1] if match[1] == match[2] else f"{match[1]} (`{match[2]}`)", text)


def write_pages(root: Path, folder: Path) -> None:
    """Writes all generated pages; a file whose content stays keeps its time, so that only changes are built.

    Args:
        root: root of the repository.
        folder: where to write them.
    """
    folder.mkdir(exist_ok=True)
    pages = {"api.rst": _api(), "systems.md": _systems()}
    pages |= {f"{name}.md": _system(name) for name in config_files()}
    pages |= {f"_{name}": site_links((root / name).read_text(encoding="utf-8")) for name in _ROOT_PAGES}
    for stale in {path.name for path in folder.iterdir()} - pages.keys():
        (folder / stale).unlink()
    for name, content in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")


def _api() -> str:
    """Returns the API reference: every public name, in the section of its part of the library."""
    names = [name for name in ssar_jax.__all__ if name != "__version__"]
    parts = {name: ssar_jax._HOMES[name].split(".")[0] for name in names}
    missing = {parts[name] for name in names} - {part for section in _SECTIONS.values() for part in section}
    if missing:
        raise ValueError(f"no section of the API reference has {', '.join(sorted(missing))}: add it to _SECTIONS")
    legend = " ".join((importlib.import_module("ssar_jax.types").__doc__ or "").partition("\n")[2].split())
    lines = ["API reference", "=============", "", "All names are imported from ``ssar_jax``.", "", legend]
    for title, section in _SECTIONS.items():
        lines += ["", title, "-" * len(title), ""]
        for name in names:
            if parts[name] in section:
                lines += _directive(name)
    return "\n".join(lines) + "\n"


def _directive(name: str) -> list[str]:
    value = getattr(ssar_jax, name)
    if not isinstance(value, type):
        return [f".. autofunction:: ssar_jax.{name}", ""]
    members = [] if issubclass(value, Exception) else ["   :members:"]
    return [f".. autoclass:: ssar_jax.{name}", *members, ""]


def _systems() -> str:
    """Returns the page that lists all systems, with a link to each."""
    rows = [
        (f"[{name}]({algorithm}.md)" if variant is None else name, f"`{algorithm}:<task>{_setting(variant)}`")
        for algorithm in config_files()
        for name, variant in _variants(algorithm)
    ]
    pages = "\n".join(config_files())
    return (
        "# Systems\n\nEvery system, with the argument of `ssar-jax offline --config=` that runs it. The pages have its "
        "source, its settings and, where there are any, the published scores.\n\n"
        f"{_table(('system', 'config'), rows)}\n\n```{{toctree}}\n:hidden:\n\n{pages}\n```\n"
    )


def _setting(variant: str | None) -> str:
    return "" if variant is None else f",variant={variant}"


def _variants(algorithm: str) -> Iterator[tuple[str, str | None]]:
    """Yields the display name and the variant of every system of a config file; None is the default variant."""
    default = _config(algorithm, _EXAMPLES[0]).variant
    names = registry.get_entry(algorithm).display_names
    yield names[default], None
    yield from ((name, variant) for variant, name in names.items() if variant != default)


def _system(algorithm: str) -> str:
    """Returns the page of a config file's systems."""
    names = registry.get_entry(algorithm).display_names
    module = importlib.import_module(f"ssar_jax.algorithms.{algorithm}")
    config = importlib.import_module(f"configs.{algorithm}")
    title, _, source = (module.__doc__ or "").strip().partition("\n")
    settings = (config.__doc__ or "").strip().partition("\n")[2].strip()
    parts = [f"# {names[_config(algorithm, _EXAMPLES[0]).variant]}", title, _autolinks(source.strip())]
    parts += ["## Commands", f"```bash\nssar-jax offline --config={algorithm}:hopper-m,preset=short\n```", settings]
    parts += ["## Equations and arguments", f"```{{eval-rst}}\n.. autofunction:: {module.__name__}.{algorithm}\n"]
    parts[-1] += "   :no-index:\n```"
    scores = _published(names.values())
    if scores:
        parts += [
            "## Published scores",
            "Normalized scores on D4RL's v2 datasets, every digit as printed. [Results](../results.md) has the runs of "
            "this library.",
            scores,
        ]
    parts += ["## Settings", _settings(algorithm)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _autolinks(text: str) -> str:
    """Makes links of bare addresses, which Markdown leaves as text."""
    return re.sub(r"https://\S*[^\s.,;)]", r"<\g<0>>", text)


def _config(algorithm: str, task: str, preset: str = PRESETS[0]) -> Any:
    return importlib.import_module(f"configs.{algorithm}").get_config(f"{task},preset={preset}")


def _settings(algorithm: str) -> str:
    """Returns the table of all fields: the first preset on the example tasks, and what the other presets change."""
    tasks = []
    for task in _EXAMPLES:
        try:
            _config(algorithm, task)
        except UserError:  # the algorithm has no such task, and its page says so
            continue
        tasks.append(task)
    columns = [
        (f"{task}", {name: field.value for name, field in fields(_config(algorithm, task)).items()}) for task in tasks
    ]
    first = columns[0][1]
    for preset in PRESETS[1:]:
        columns.append(
            (
                f"{tasks[0]}, {preset}",
                {name: field.value for name, field in fields(_config(algorithm, tasks[0], preset)).items()},
            )
        )
    rows = [
        (
            f"`{name}`",
            *(_value(values[name]) if values is first or values[name] != first[name] else "" for _, values in columns),
        )
        for name in first
        if name not in ("algorithm", "task", "preset")
    ]
    text = (
        f"All fields on `{tasks[0]}` with the published setting, `preset={PRESETS[0]}`; the other columns show what "
        f"differs there. The comments in `configs/{algorithm}.py` and `configs/common.py` have their sources."
    )
    return f"{text}\n\n{_table(('field', *(title for title, _ in columns)), rows)}"


def _value(value: Any) -> str:
    if value is None:
        return "unset"
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value).replace("|", "\\|")


def _published(names: Iterable[str]) -> str:
    """Returns the table of the published scores of systems with its sources, the empty string if there are none."""
    columns = [
        (source, f"{name}, {phase}", {task: _score(row[name]) for task, row in table.rows.items()})
        for phase in ("offline", "online")
        for source, table in corl.published_tables(phase).items()
        for name in table.systems
        if name in names
    ]
    if not columns:
        return ""
    rows = [
        (task.name, *(cells.get(task.name, "") for _, _, cells in columns))
        for task in TASKS
        if any(cells.get(task.name) for _, _, cells in columns)
    ]
    sources = [_SOURCES[source] for source in dict.fromkeys(source for source, _, _ in columns)]
    return f"{_table(('task', *(title for _, title, _ in columns)), rows)}\n\nSource: {'; '.join(sources)}."


def _score(score: Score | None) -> str:
    if score is None:
        return ""
    return f"{score.mean}" if score.spread is None else f"{score.mean} ± {score.spread}"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    header = tuple(header)
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
