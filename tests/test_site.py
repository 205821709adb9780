"""The generated pages of the documentation site; `.ci/run` builds the whole site, with warnings as errors."""

import importlib.util
import re
from pathlib import Path

import pytest

import ssar_jax
from experiments.cli.config_files import config_files
from ssar_jax.algorithms import registry

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(generate, tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated")
    (folder / "removed.md").write_text("a page of an algorithm that is gone")
    generate.write_pages(ROOT, folder)
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_every_public_name_is_in_the_reference_once(pages):
    found = re.findall(r"^\.\. auto\w+:: ssar_jax\.(\w+)$", pages["api.rst"], re.MULTILINE)
    assert sorted(found) == sorted(set(ssar_jax.__all__) - {"__version__"})


def test_every_system_has_a_page_and_a_command(pages):
    assert "removed.md" not in pages
    assert len(config_files()) >= 6
    for algorithm in config_files():
        page, names = pages[f"{algorithm}.md"], registry.get_entry(algorithm).display_names
        assert f"ssar-jax offline --config={algorithm}:hopper-m" in page
        assert "| `batch_size` | " in page
        listed = re.findall(r"^\| (?:\[(.+)\]\((\w+)\.md\)|(.+?)) \| `", pages["systems.md"], re.MULTILINE)
        assert {first or other for first, _, other in listed} >= set(names.values())
        assert [name for name, page_of, _ in listed if page_of == algorithm] == [
            page.splitlines()[0].removeprefix("# ")
        ]


def test_published_scores_have_their_source(pages):
    """The paper, hopper-medium: 58.7 ± 3.9 and 101.6 ± 0.4; CORL's ReBRAC there: 102.29 ± 0.17; none for BC."""
    assert "| hopper-m | 58.7 ± 3.9 | 101.6 ± 0.4 |" in pages["td3_bc.md"]
    assert "Source: the tables of the [SSAR paper]" in pages["td3_bc.md"]
    assert "| hopper-m | 102.29 ± 0.17 |" in pages["rebrac.md"]
    assert "Source: [CORL]" in pages["rebrac.md"]
    assert "## Published scores" not in pages["bc.md"]


def test_a_page_shows_what_a_preset_changes(pages):
    """On hopper-m the short preset trains 20,000 updates and the paper 1,000,000; on antmaze-u it is 2,000,000."""
    assert "| `num_updates` | 1,000,000 | 2,000,000 |  | 20,000 |" in pages["td3_bc.md"]


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("[a](docs/runs.md#films)", "[a](runs.md#films)"),
        ("[a](../CONTRIBUTING.md#style)", "[a](contributing.rst#style)"),
        ("[a](CHANGELOG.md)", "[a](changelog.rst)"),
        ("[b](../ssar_jax/algorithms/cql.py)", "[b](generated/cql.md)"),
        ("[b](../ssar_jax/behaviour/trained/README.md)", "b (`ssar_jax/behaviour/trained/README.md`)"),
        ("[CITATION.cff](CITATION.cff)", "CITATION.cff"),
        ("[c](https://arxiv.org/abs/2505.19923)", "[c](https://arxiv.org/abs/2505.19923)"),
    ],
)
def test_links_lead_to_the_pages_of_the_site(generate, link, expected):
    assert generate.site_links(link) == expected
