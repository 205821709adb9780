"""Readers of the files of dashboards, written from the descriptions of their formats."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def event_files(folder: Path) -> list[list[Any]]:
    """Returns the events of each TensorBoard file of a folder, the oldest file first."""
    return [list(_events(file.read_bytes())) for file in sorted(folder.glob("events.out.tfevents.*"))]


def _events(content: bytes) -> Iterator[Any]:
    """A record is its length (8 bytes), a checksum (4), the event, and a checksum (4)."""
    from tensorboardX.proto.event_pb2 import Event

    at = 0
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        yield Event.FromString(content[at + 12 : at + 12 + length])
        at += 12 + length + 4


def points(events: list[Any], tag: str) -> list[tuple[int, float]]:
    """Returns the curve of a tag as (step, value)."""
    return [(event.step, value.simple_value) for event in events for value in event.summary.value if value.tag == tag]


def wandb_run(folder: Path) -> tuple[Any, list[dict[str, Any]]]:
    """Returns the record of an offline W&B run and the rows of its history, read as `wandb sync` reads them.

    A process of W&B writes the file, and may finish some time after the run.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = folder.glob("run-*.wandb")
    records: list[Record] = []
    deadline = time.monotonic() + 30
    while not any(record.WhichOneof("record_type") == "exit" for record in records):
        assert time.monotonic() < deadline, f"{file} has no end"
        time.sleep(0.01)
        records = [Record.FromString(content) for content in _leveldb_records(file.read_bytes())]
    (run,) = [record.run for record in records if record.WhichOneof("record_type") == "run"]
    histories = [record.history for record in records if record.WhichOneof("record_type") == "history"]
    rows = [{"".join([i.key, *i.nested_key]): json.loads(i.value_json) for i in history.item} for history in histories]
    return run, rows


def _leveldb_records(content: bytes) -> Iterator[bytes]:
    """Yields records, which are split at the ends of blocks of 32 KiB; the file begins with a header of 7 bytes.

    A part is a checksum (4 bytes), its length (2), and its kind (1): 1 whole, 2 first, 3 middle, 4 last.
    """
    at, record = 7, b""
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        record += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield record
            record = b""
