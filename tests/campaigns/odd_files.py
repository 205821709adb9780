"""Variants of one small dataset and one small run folder: stored in another way, nonsensical, cut short, or damaged."""

import enum
import functools
import io
import itertools
import json
import os
import random
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.sources.minari_writing import write_minari
from ssar_jax.episodes import Episode
from ssar_jax.runs.load import load_policy
from tests.smoke import small_run

TASK = "hopper-m"
_OBSERVATIONS, _ACTIONS = 11, 3
_STEPS = (20, 31, 7, 25, 12, 30)  # of each episode; every second one ends in a terminal state, the others are cut off

Arrays = dict[str, np.ndarray]


class Outcome(enum.Enum):
    """What reading a file has to lead to."""

    EQUAL = "the numbers of the intact file"
    REFUSED = "one clear line"
    EITHER = "the numbers of the intact file or one clear line"
    UNPROTECTED = "numbers or one clear line"  # the format has no checksum where the byte was changed


class Case(NamedTuple):
    """A file that is read.

    Attributes:
        kind: `hdf5`, `npz`, `minari` or `run`.
        name: what is special about it.
        path: where it is.
        outcome: what reading it has to lead to.
    """

    kind: str
    name: str
    path: Path
    outcome: Outcome


@functools.cache
def _episodes() -> tuple[Episode, ...]:
    """Returns the episodes; a terminal state is the first state of the next one, as in D4RL's view of its files."""
    rng = np.random.default_rng(0)
    first, made = rng.normal(size=_OBSERVATIONS).astype(np.float32), []
    for number, steps in enumerate(_STEPS):
        observations = rng.normal(size=(steps + 1, _OBSERVATIONS)).astype(np.float32)
        observations[0] = first
        ends, terminal = np.arange(steps) == steps - 1, number % 2 == 0
        first = observations[-1] if terminal else rng.normal(size=_OBSERVATIONS).astype(np.float32)
        made.append(
            Episode(
                observations=observations,
                actions=rng.uniform(-1.0, 1.0, (steps, _ACTIONS)).astype(np.float32),
                rewards=rng.normal(size=steps).astype(np.float32),
                terminations=ends & terminal,
                truncations=ends & (not terminal),
            )
        )
    return tuple(made)


@functools.cache
def reference() -> OfflineDataset:
    """Returns the dataset that every intact file holds."""
    return OfflineDataset.from_arrays(**_npz_arrays())


def _npz_arrays() -> Arrays:
    """Returns the columns of a `.npz` file."""
    episodes = _episodes()
    return {
        "observations": np.concatenate([each.observations[:-1] for each in episodes]),
        "actions": np.concatenate([each.actions for each in episodes]),
        "rewards": np.concatenate([each.rewards for each in episodes]),
        "masks": np.concatenate([1.0 - each.terminations for each in episodes]).astype(np.float32),
        "next_observations": np.concatenate([each.observations[1:] for each in episodes]),
        "episode_ends": np.concatenate([each.terminations | each.truncations for each in episodes]),
    }


def _hdf5_arrays() -> Arrays:
    """Returns the columns of a D4RL file: an episode that is cut off has one more row, which is its time-out."""
    rows: dict[str, list[np.ndarray]] = {
        key: [] for key in ("observations", "actions", "rewards", "terminals", "timeouts")
    }
    for each in _episodes():
        more = int(each.truncations[-1])
        rows["observations"].append(each.observations if more else each.observations[:-1])
        rows["actions"].append(np.pad(each.actions, ((0, more), (0, 0))))
        rows["rewards"].append(np.pad(each.rewards, (0, more)))
        rows["terminals"].append(np.pad(each.terminations, (0, more)))
        rows["timeouts"].append(np.arange(len(each.rewards) + more) == len(each.rewards))
    return {key: np.concatenate(parts) for key, parts in rows.items()}


# --- writers ---------------------------------------------------------------------------------------------------------


def _write_hdf5(path: Path, arrays: Arrays, *, libver: Any = None, userblock: int = 0, **options: Any) -> Path:
    with h5py.File(path, "w", libver=libver, userblock_size=userblock) as file:
        for key, array in arrays.items():
            file.create_dataset(key, data=array, **options)
    return path


def _write_npz(path: Path, arrays: Arrays, compression: int = zipfile.ZIP_STORED, comment: bytes = b"") -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.comment = comment
        for key, array in arrays.items():
            with archive.open(f"{key}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=True)
    return path


def _write_minari(folder: Path, name: str = "odd/intact-v0") -> Path:
    before = os.environ.get("MINARI_DATASETS_PATH")
    os.environ["MINARI_DATASETS_PATH"] = str(folder)
    try:
        return write_minari(name, _episodes(), description="intact")
    finally:
        os.environ.pop("MINARI_DATASETS_PATH")
        if before is not None:
            os.environ["MINARI_DATASETS_PATH"] = before


# --- changes of the columns, for every kind of file -------------------------------------------------------------------


def _with(arrays: Arrays, **changes: Any) -> Arrays:
    return arrays | {key: np.asarray(array) for key, array in changes.items()}


def _without(arrays: Arrays, key: str) -> Arrays:
    return {name: array for name, array in arrays.items() if name != key}


def _with_value(arrays: Arrays, key: str, value: float, rng: random.Random) -> Arrays:
    changed = arrays[key].copy() if arrays[key].dtype != bool else arrays[key].astype(np.float32)
    changed.flat[rng.randrange(changed.size)] = value
    return arrays | {key: changed}


def _other_storage(arrays: Arrays) -> Iterator[tuple[str, Arrays]]:
    """Yields the same numbers in other types and shapes."""
    floats = [key for key in arrays if arrays[key].dtype == np.float32]
    flags = [key for key in arrays if arrays[key].dtype == bool]
    yield "big-endian", arrays | {key: arrays[key].astype(">f4") for key in floats}
    yield "float64", arrays | {key: arrays[key].astype(np.float64) for key in floats}
    yield "big-endian float64", arrays | {key: arrays[key].astype(">f8") for key in floats}
    yield "Fortran order", arrays | {key: np.asfortranarray(arrays[key]) for key in floats}
    for dtype in ("uint8", "int64", "float32", ">i2"):
        yield f"flags as {dtype}", arrays | {key: arrays[key].astype(dtype) for key in flags}
    yield "rewards [N, 1]", _with(arrays, rewards=arrays["rewards"][:, None])
    yield "flags [N, 1]", arrays | {key: arrays[key][:, None] for key in flags}
    yield "another array", _with(arrays, infos=np.arange(5))
    yield "an empty array", _with(arrays, infos=np.zeros((0, 3)))
    yield "a scalar array", _with(arrays, version=np.array(3.5))
    yield "a text", _with(arrays, note=np.array(b"made by hand"))


def _nonsense(arrays: Arrays, rng: random.Random) -> Iterator[tuple[str, Arrays]]:
    """Yields columns that no dataset can have."""
    done = "terminals" if "terminals" in arrays else "masks"
    for key in ("observations", "actions", "rewards", done):
        yield f"no {key}", _without(arrays, key)
        yield f"{key} one row shorter", arrays | {key: arrays[key][:-1]}
        yield f"{key} without rows", arrays | {key: arrays[key][:0]}
        yield f"{key} of rank 3", arrays | {key: arrays[key].reshape(len(arrays[key]), -1, 1, 1)}
        yield f"{key} a single number", arrays | {key: np.array(1.0)}
        yield f"{key} as text", arrays | {key: arrays[key].astype("S8")}
        yield f"{key} complex", arrays | {key: arrays[key].astype(np.complex64)}
        for value in (np.nan, np.inf, -np.inf):
            yield f"{value} in {key}", _with_value(arrays, key, value, rng)
    for value in (0.5, -1.0, 2.0):
        yield f"{value} in {done}", _with_value(arrays, done, value, rng)
    yield "no rows", {key: array[:0] for key, array in arrays.items()}
    yield "observations transposed", _with(arrays, observations=arrays["observations"].T)
    yield "actions transposed", _with(arrays, actions=arrays["actions"].T)
    yield (
        "observations and actions swapped",
        _with(arrays, observations=arrays["actions"], actions=arrays["observations"]),
    )
    yield "an action of 1.5", _with_value(arrays, "actions", 1.5, rng)
    yield "a reward too large for float32", _with(arrays, rewards=arrays["rewards"].astype(np.float64) * 1e39)
    wide = np.pad(arrays["observations"], ((0, 0), (0, 6)))
    more = {"next_observations": wide} if "next_observations" in arrays else {}
    yield "another task", _with(arrays, observations=wide, **more)


# --- damage to bytes --------------------------------------------------------------------------------------------------


def _cut(intact: Path, path: Path, size: int) -> Path:
    path.write_bytes(intact.read_bytes()[:size])
    return path


def _flip(intact: Path, path: Path, place: int, rng: random.Random) -> Path:
    content = bytearray(intact.read_bytes())
    content[place] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(content))
    return path


def _hdf5_boundaries(path: Path) -> list[int]:
    """Returns where the parts of an HDF5 file begin and end."""
    places = {0, 4, 8, 48, 96}
    with h5py.File(path, "r") as file:
        for entry in (file, *file.values()):
            places.add(h5py.h5o.get_info(entry.id).addr)
            if isinstance(entry, h5py.Dataset) and entry.chunks is None:
                start = entry.id.get_offset()
                places |= {start, start + entry.nbytes}
            elif isinstance(entry, h5py.Dataset):
                chunks = [entry.id.get_chunk_info(i) for i in range(entry.id.get_num_chunks())]
                places |= {place for each in chunks for place in (each.byte_offset, each.byte_offset + each.size)}
    size = path.stat().st_size
    return sorted(place for place in places | {size - 1, size // 2} if place < size)


def _data_places(path: Path) -> list[tuple[int, int]]:
    """Returns begin and end of the stored values of each dataset of an HDF5 file."""
    places = []

    def add(_: str, entry: Any) -> None:
        if not isinstance(entry, h5py.Dataset):
            return
        if entry.chunks is None:
            places.append((entry.id.get_offset(), entry.id.get_offset() + entry.nbytes))
        else:
            chunks = [entry.id.get_chunk_info(i) for i in range(entry.id.get_num_chunks())]
            places.extend((each.byte_offset, each.byte_offset + each.size) for each in chunks)

    with h5py.File(path, "r") as file:
        file.visititems(add)
    return places


def _other_places(path: Path) -> list[tuple[int, int]]:
    """Returns begin and end of everything between the stored values."""
    edges = [0, *itertools.chain(*sorted(_data_places(path))), path.stat().st_size]
    return [(begin, end) for begin, end in zip(edges[::2], edges[1::2], strict=True) if begin < end]


def _draw(places: list[tuple[int, int]], rng: random.Random) -> int:
    """Draws a byte, each with the same probability."""
    begin, end = rng.choices(places, [end - begin for begin, end in places])[0]
    return rng.randrange(begin, end)


def _zip_boundaries(path: Path) -> list[int]:
    """Returns where the parts of a zip archive begin and end."""
    with zipfile.ZipFile(path) as archive:
        places = {archive.start_dir}
        for each in archive.infolist():
            data = each.header_offset + 30 + len(each.filename)
            places |= {each.header_offset, data, data + each.compress_size}
    size = path.stat().st_size
    return sorted(place for place in places | {size - 22, size - 1, size // 2} if place < size)


# --- the cases --------------------------------------------------------------------------------------------------------


class _Maker:
    """Makes cases of one kind, each in a place of its own.

    Args:
        folder: folder of the files.
        kind: kind of the files.
        suffix: ending of their names.
    """

    def __init__(self, folder: Path, kind: str, suffix: str = "") -> None:
        self.folder, self.kind, self.suffix = folder, kind, suffix
        self.cases: list[Case] = []
        folder.mkdir(parents=True)

    def add(self, name: str, outcome: Outcome, write: Callable[[Path], object]) -> None:
        """Adds a case whose file or folder is made by `write`."""
        path = self.folder / f"{len(self.cases):03}{self.suffix}"
        write(path)
        self.cases.append(Case(self.kind, name, path, outcome))


def make_cases(root: Path, seed: int) -> list[Case]:
    """Makes all files.

    Args:
        root: an empty folder.
        seed: seed of everything that is random about them.

    Returns:
        The cases.
    """
    rng = random.Random(seed)
    cases = [*_hdf5_cases(root / "hdf5", rng), *_npz_cases(root / "npz", rng), *_minari_cases(root / "minari", rng)]
    return [*cases, *_run_cases(root / "run", rng)]


def _hdf5_cases(folder: Path, rng: random.Random) -> list[Case]:
    made, arrays = _Maker(folder, "hdf5", ".hdf5"), _hdf5_arrays()

    def add(name: str, outcome: Outcome, columns: Arrays = arrays, **options: Any) -> None:
        made.add(name, outcome, lambda path: _write_hdf5(path, columns, **options))

    add("intact", Outcome.EQUAL)
    for compression in ("gzip", "lzf", "szip"):
        options = {"compression_opts": ("nn", 8)} if compression == "szip" else {}
        chunked = _without(arrays, "terminals") | {"terminals": arrays["terminals"].astype(np.uint8)}
        chunked = chunked | {"timeouts": arrays["timeouts"].astype(np.uint8)}
        if compression != "szip" or h5py.h5z.filter_avail(h5py.h5z.FILTER_SZIP):
            add(compression, Outcome.EQUAL, chunked, compression=compression, **options)
    add("shuffled, with checksums", Outcome.EQUAL, compression="gzip", shuffle=True, fletcher32=True)
    add("growing", Outcome.EQUAL, maxshape=None, chunks=True)
    add("user block", Outcome.EQUAL, userblock=1024)
    add("newest format", Outcome.EQUAL, libver="latest")
    for name, columns in _other_storage(arrays):
        add(name, Outcome.EQUAL, columns)
    for name, columns in _nonsense(arrays, rng):
        add(name, Outcome.REFUSED, columns)
    for name, change in _HDF5_CHANGES.items():
        made.add(name, Outcome.EQUAL, lambda path, change=change: _change(_write_hdf5(path, arrays), change))
    for name, change in _HDF5_FAULTS.items():
        made.add(name, Outcome.REFUSED, lambda path, change=change: _change(_write_hdf5(path, arrays), change))
    intact = made.cases[0].path
    protected = _write_hdf5(folder / "protected.h5", arrays, libver="latest", fletcher32=True)
    for size in _hdf5_boundaries(intact):
        made.add(f"cut after {size} bytes", Outcome.REFUSED, lambda path, size=size: _cut(intact, path, size))
    for size in _hdf5_boundaries(protected):
        made.add(f"newest, cut after {size}", Outcome.REFUSED, lambda path, size=size: _cut(protected, path, size))
    for name, file, places, outcome in (
        ("header", intact, _other_places(intact), Outcome.UNPROTECTED),
        ("checksummed header", protected, _other_places(protected), Outcome.EITHER),
        ("checksummed data", protected, _data_places(protected), Outcome.REFUSED),
    ):
        for _ in range(20):
            place = _draw(places, rng)
            made.add(
                f"a bit of the {name}, byte {place}",
                outcome,
                lambda path, file=file, place=place: _flip(file, path, place, rng),
            )
    return made.cases


def _change(path: Path, change: Callable[[h5py.File], object]) -> None:
    with h5py.File(path, "a") as file:
        change(file)


def _in_place_of(key: str, make: Callable[[h5py.File], object]) -> Callable[[h5py.File], object]:
    def change(file: h5py.File) -> None:
        del file[key]
        make(file)

    return change


def _deep(file: h5py.File) -> None:
    group: Any = file
    for _ in range(300):
        group = group.create_group("deeper")


# What D4RL's own files, and those of others, hold besides the columns.
_HDF5_CHANGES: dict[str, Callable[[h5py.File], object]] = {
    "a large attribute": lambda file: file.attrs.create("note", "x" * 60_000),
    "many attributes": lambda file: [file["actions"].attrs.create(f"a{i}", i) for i in range(200)],
    "nested groups": _deep,
    "an empty group": lambda file: file.create_group("metadata"),
    "a text": lambda file: file.create_dataset("metadata/policy", data="hopper"),
    "a named type": lambda file: file.__setitem__("kind", np.dtype("f8")),
    "columns behind soft links": lambda file: (
        file.move("actions", "raw/actions"),
        file.__setitem__("actions", h5py.SoftLink("/raw/actions")),
    ),
    "a link to nothing": lambda file: file.__setitem__("unused", h5py.SoftLink("/nowhere")),
    "a link in a circle": lambda file: file.__setitem__("self", file["/"]),
}
_HDF5_FAULTS: dict[str, Callable[[h5py.File], object]] = {
    "a group in place of a column": _in_place_of("actions", lambda file: file.create_group("actions")),
    "an empty dataset": _in_place_of("rewards", lambda file: file.create_dataset("rewards", data=h5py.Empty("f4"))),
    "texts of any length": _in_place_of(
        "rewards", lambda file: file.create_dataset("rewards", data=["1.0"] * 131, dtype=h5py.string_dtype())
    ),
    "rows of any length": _in_place_of(
        "observations",
        lambda file: file.create_dataset("observations", (131,), dtype=h5py.vlen_dtype(np.float32)),
    ),
    "a compound type": _in_place_of(
        "actions", lambda file: file.create_dataset("actions", data=np.zeros((131, 3), [("x", "f4"), ("y", "f4")]))
    ),
    "references": _in_place_of(
        "rewards", lambda file: file.create_dataset("rewards", data=[file.ref] * 131, dtype=h5py.ref_dtype)
    ),
    "a link to nothing in place of a column": _in_place_of(
        "actions", lambda file: file.__setitem__("actions", h5py.SoftLink("/nowhere"))
    ),
    "a link to itself": _in_place_of("actions", lambda file: file.__setitem__("actions", h5py.SoftLink("/actions"))),
    "a link out of the file": lambda file: file.__setitem__("other", h5py.ExternalLink("/etc/passwd", "/")),
    "a terabyte that was never written": _in_place_of(
        "observations", lambda file: file.create_dataset("observations", (10**10, 25), "f4", chunks=(1000, 25))
    ),
}


def _npz_cases(folder: Path, rng: random.Random) -> list[Case]:
    made, arrays = _Maker(folder, "npz", ".npz"), _npz_arrays()

    def add(name: str, outcome: Outcome, columns: Arrays = arrays, **options: Any) -> None:
        made.add(name, outcome, lambda path: _write_npz(path, columns, **options))

    add("intact", Outcome.EQUAL)
    for compression in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        add(f"zip compression {compression}", Outcome.EQUAL, compression=compression)
    add("comment", Outcome.EQUAL, comment=b"c" * 60_000)
    add("terminals too", Outcome.EQUAL, _with(arrays, terminals=1.0 - arrays["masks"]))
    add("contradicting terminals", Outcome.REFUSED, _with(arrays, terminals=arrays["masks"]))
    for name, columns in _other_storage(arrays):
        add(name, Outcome.EQUAL, columns)
    for name, columns in _nonsense(arrays, rng):
        add(name, Outcome.REFUSED, columns)
    add("objects", Outcome.REFUSED, _with(arrays, rewards=arrays["rewards"].astype(object)))
    add("dates", Outcome.REFUSED, _with(arrays, rewards=arrays["rewards"].astype("M8[s]")))
    records = np.zeros(len(arrays["rewards"]), [("x", "f4")])
    add("records", Outcome.REFUSED, _with(arrays, rewards=records))
    made.add("a single array", Outcome.REFUSED, lambda path: _save_array(path, arrays["rewards"]))
    made.add("a text file", Outcome.REFUSED, lambda path: path.write_text("observations,actions\n1,2\n"))
    made.add("an archive of texts", Outcome.REFUSED, _write_zip_of_texts)
    intact = made.cases[0].path
    compressed = made.cases[1].path
    for file in (intact, compressed):
        for size in _zip_boundaries(file):
            made.add(
                f"{file.stem} cut after {size} bytes",
                Outcome.REFUSED,
                lambda path, size=size, file=file: _cut(file, path, size),
            )
        for _ in range(20):
            place = rng.randrange(file.stat().st_size)
            made.add(
                f"a bit of {file.stem}, byte {place}",
                Outcome.EITHER,
                lambda path, place=place, file=file: _flip(file, path, place, rng),
            )
    return made.cases


def _save_array(path: Path, array: np.ndarray) -> None:
    content = io.BytesIO()
    np.save(content, array)
    path.write_bytes(content.getvalue())


def _write_zip_of_texts(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("observations.npy", "not an array")


def _minari_cases(folder: Path, rng: random.Random) -> list[Case]:
    intact = _write_minari(folder.with_name("intact"))
    made = _Maker(folder, "minari")
    made.add("intact", Outcome.EQUAL, lambda path: shutil.copytree(intact, path))

    def add(name: str, outcome: Outcome, file: str, change: Callable[[Path, Path], object]) -> None:
        def write(path: Path) -> None:
            shutil.copytree(intact, path)
            change(intact / "data" / file, path / "data" / file)

        made.add(name, outcome, write)

    data, metadata = intact / "data" / "main_data.hdf5", intact / "data" / "metadata.json"
    for file in (data, metadata):
        add(f"no {file.name}", Outcome.REFUSED, file.name, lambda _, to: to.unlink())
        add(f"empty {file.name}", Outcome.REFUSED, file.name, lambda _, to: to.write_bytes(b""))
    for size in rng.sample(range(1, data.stat().st_size - 1), 15):
        add(f"data cut after {size}", Outcome.REFUSED, data.name, lambda a, b, size=size: _cut(a, b, size))
    for size in rng.sample(range(1, metadata.stat().st_size - 2), 10):
        add(f"metadata cut after {size}", Outcome.REFUSED, metadata.name, lambda a, b, size=size: _cut(a, b, size))
    for name, places, outcome in (
        ("header", _other_places(data), Outcome.EITHER),
        ("data", _data_places(data), Outcome.EITHER),
    ):
        for _ in range(20):
            place = _draw(places, rng)
            add(
                f"a bit of the {name}, byte {place}",
                outcome,
                data.name,
                lambda a, b, place=place: _flip(a, b, place, rng),
            )
    for _ in range(20):
        place = rng.randrange(metadata.stat().st_size)
        add(
            f"a bit of the metadata, byte {place}",
            Outcome.EITHER,
            metadata.name,
            lambda a, b, place=place: _flip(a, b, place, rng),
        )
    add("another number of steps", Outcome.EQUAL, metadata.name, lambda a, b: _rewrite_json(a, b, {"total_steps": 7}))
    for name, changes in _METADATA_FAULTS.items():
        add(name, Outcome.REFUSED, metadata.name, lambda a, b, changes=changes: _rewrite_json(a, b, changes))
    for name, change in _EPISODE_FAULTS.items():
        add(name, Outcome.REFUSED, data.name, lambda _, to, change=change: _change(to, change))
    return made.cases


_METADATA_FAULTS: dict[str, dict[str, Any]] = {
    "more episodes than there are": {"total_episodes": 60},
    "fewer episodes than there are": {"total_episodes": 2},
    "a negative number of episodes": {"total_episodes": -1},
    "no number of episodes": {"total_episodes": None},
    "an unknown storage": {"data_format": "tape"},
    "discrete actions": {"action_space": json.dumps({"type": "Discrete", "n": 3})},
    "a space that is a list": {"observation_space": "[1, 2]"},
    "a space that is no JSON": {"observation_space": "{"},
    "observations of another shape": {
        "observation_space": json.dumps(
            {"type": "Box", "dtype": "float32", "shape": [4], "low": [-1.0] * 4, "high": [1.0] * 4}
        )
    },
}


def _remove_steps(file: h5py.File) -> None:
    for key in ("actions", "rewards", "terminations"):
        name = f"episode_3/{key}"
        shape, dtype = file[name].shape, file[name].dtype
        del file[name]
        file.create_dataset(name, (0, *shape[1:]), dtype)


_EPISODE_FAULTS: dict[str, Callable[[h5py.File], object]] = {
    "an episode is missing": lambda file: file.__delitem__("episode_3"),
    "a column is missing": lambda file: file.__delitem__("episode_3/rewards"),
    "an episode without steps": _remove_steps,
    "an empty column": _in_place_of(
        "episode_3/rewards", lambda file: file.create_dataset("episode_3/rewards", data=h5py.Empty("f4"))
    ),
    "an episode more": lambda file: file.copy("episode_3", "episode_6"),
    "NaN": lambda file: file["episode_3/rewards"].__setitem__(2, np.nan),
    "a termination of 0.5": _in_place_of(
        "episode_3/terminations",
        lambda file: file.create_dataset("episode_3/terminations", data=np.full(25, 0.5)),
    ),
    "rewards as text": _in_place_of(
        "episode_3/rewards",
        lambda file: file.create_dataset("episode_3/rewards", data=["a"] * 25, dtype=h5py.string_dtype()),
    ),
    "actions one row shorter": _in_place_of(
        "episode_3/actions", lambda file: file.create_dataset("episode_3/actions", data=np.zeros((24, 3), "f4"))
    ),
    "a group in place of a column": _in_place_of(
        "episode_3/actions", lambda file: file.create_group("episode_3/actions")
    ),
}


def _rewrite_json(intact: Path, path: Path, changes: dict[str, Any]) -> None:
    path.write_text(json.dumps(json.loads(intact.read_text()) | changes))


def _leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yields the names that lead to each value of nested dictionaries."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, (*path, key))
    else:
        yield path


def _replaced(tree: Any, path: tuple[str, ...], value: Any) -> str:
    """Returns JSON of nested dictionaries with another value in one place."""
    copy = json.loads(json.dumps(tree))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(copy)


def reference_actions(folder: Path) -> np.ndarray:
    """Returns the actions of the intact run's policy in the first four states.

    Args:
        folder: folder of the run's variants.
    """
    return np.load(folder / "actions.npy")


def _run_cases(folder: Path, rng: random.Random) -> list[Case]:
    intact = folder.with_name("intact-run")
    dataset = _write_npz(folder.with_name("data.npz"), _npz_arrays())
    flags = small_run.flags(dataset, "--config.num_updates=500", f"--workdir={intact}")
    status, _, messages = small_run.finish(small_run.start(*flags))
    assert status == 0, messages
    made = _Maker(folder, "run")
    np.save(folder / "actions.npy", load_policy(intact)(reference().observations[:4]))
    made.add("intact", Outcome.EQUAL, lambda path: shutil.copytree(intact, path))

    def add(name: str, file: Path, change: Callable[[Path, Path], object]) -> None:
        def write(path: Path) -> None:
            shutil.copytree(intact, path)
            change(file, path / file.relative_to(intact))

        unprotected = name.startswith(("a bit", "another")) and file.name == "config.json"
        made.add(f"{file.relative_to(intact)}: {name}", Outcome.UNPROTECTED if unprotected else Outcome.EITHER, write)

    top = sorted(file for file in intact.iterdir() if file.is_file() and not file.name.startswith("."))
    stored = sorted(file for file in (intact / "checkpoints").rglob("*") if file.is_file())
    for file in [*top, *rng.sample(stored, min(12, len(stored)))]:
        size = file.stat().st_size
        add("missing", file, lambda _, to: to.unlink())
        add("empty", file, lambda _, to: to.write_bytes(b""))
        if size > 1:
            cut, *places = (rng.randrange(1, size) for _ in range(4))
            add("cut", file, lambda a, b, cut=cut: _cut(a, b, cut))
            for place in places:
                add(f"a bit, byte {place}", file, lambda a, b, place=place: _flip(a, b, place, rng))
        if file.suffix == ".json":
            add("a list", file, lambda _, to: to.write_text("[]"))
            add("a number", file, lambda _, to: to.write_text("7"))
            add("bytes", file, lambda _, to: to.write_bytes(b"\xff\xfe\x00{"))
            add("deep", file, lambda _, to: to.write_text("[" * 100_000))
            content = json.loads(file.read_text())
            for path in rng.sample(list(_leaves(content)), min(8, len(list(_leaves(content))))):
                changed = _replaced(content, path, rng.choice([None, "text", -1, 1.5, True, [], {}, "1e999"]))
                add(f"another {'.'.join(path)}", file, lambda _, to, changed=changed: to.write_text(changed))
        if file.suffix == ".csv":
            add("another table", file, lambda _, to: to.write_text("a,b\n1,2\n"))
            add("bytes", file, lambda _, to: to.write_bytes(b"\xff\xfe\x00,"))
            add("no rows", file, lambda a, b: b.write_text(a.read_text().splitlines()[0] + "\n"))
    return made.cases
