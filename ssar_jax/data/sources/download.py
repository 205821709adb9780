"""Downloads of the official D4RL files, on request only: to a temporary file, verified, then renamed."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from ssar_jax.data.d4rl_files import D4RL_BASE_URL, D4RLFile
from ssar_jax.data.sources.d4rl import d4rl_directory, verify_file
from ssar_jax.data.tasks import Task
from ssar_jax.errors import UnreadableError, UserError
from ssar_jax.files import exists, one_line, resolve_path

_CHUNK = 1 << 20  # bytes per read


class Downloaded(NamedTuple):
    """Result of a download.

    Attributes:
        path: The verified file.
        fetched: Whether it was downloaded now; False if it was in the folder already.
    """

    path: Path
    fetched: bool


def download(
    task: Task,
    directory: str | Path | None = None,
    *,
    base_url: str = D4RL_BASE_URL,
    progress: bool = True,
    timeout_seconds: float = 60.0,
    retries: int = 2,
) -> Downloaded:
    """Download a task's official file, unless an intact one is in the folder.

    The file appears under its final name only when it is complete and verified.

    Args:
        task: One of the 18 tasks.
        directory: Target folder; None is D4RL's cache.
        base_url: URL to which the file's path is appended.
        progress: Whether to show a progress bar on a terminal.
        timeout_seconds: Longest wait for the server, s, to connect and between two pieces of data.
        retries: Number of new attempts after a network error or a wrong checksum.

    Returns:
        The path, and whether the file was downloaded now.

    Raises:
        UserError: The task has no file, the folder cannot be written to, the disk is too full, or the server
            cannot be reached, stalls, or sends a truncated or damaged file.
    """
    # Imported here because requests, which pooch imports, takes a tenth of a second.
    import pooch
    import requests

    record = task.file
    if record is None:
        raise UserError(f"task {task.name} has no official file to download")
    folder = d4rl_directory() if directory is None else resolve_path(directory)
    path = folder / record.file_name
    if _is_intact(path, record):
        return Downloaded(path, fetched=False)
    _require_space(folder, record)
    url = base_url.rstrip("/") + "/" + record.path
    # disable=None: a bar on a terminal, nothing in a log file.
    bar = tqdm(total=record.size, unit="B", unit_scale=True, desc=task.name, disable=None if progress else True)
    store = pooch.create(
        path=folder,
        base_url="",
        registry={record.file_name: f"sha256:{record.sha256}"},
        urls={record.file_name: url},
        retry_if_failed=retries,
    )
    pooch.get_logger().setLevel("WARNING")
    downloader: Any = _Downloader(record, bar, timeout_seconds)  # pooch annotates this argument wrongly
    try:
        store.fetch(record.file_name, downloader=downloader)
    except UserError:
        raise
    except requests.exceptions.HTTPError as error:
        raise UserError(f"{url}: the server refuses ({one_line(error)})") from error
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError) as error:
        raise UserError(f"{url}: truncated, the connection broke before {record.size:,} bytes arrived") from error
    except requests.exceptions.RequestException as error:
        raise UserError(_network_failure(url, error, timeout_seconds)) from error
    except ValueError as error:  # pooch raises it for a wrong checksum
        raise UserError(f"{url}: damaged, the sha256 of the download is not {record.sha256}") from error
    except OSError as error:
        raise UserError(f"cannot write {path}: {one_line(error)}") from error
    finally:
        bar.close()
    path.chmod(0o644)  # the temporary file had 0600, which other users of a shared folder cannot read
    verify_file(path, record)
    return Downloaded(path, fetched=True)


class _Downloader:
    """Downloader that pooch calls to fill its temporary file.

    Pooch's downloader does not close a broken connection, and reports a truncated file as a wrong checksum.
    """

    def __init__(self, record: D4RLFile, bar: Any, timeout_seconds: float) -> None:
        self.record = record
        self.bar = bar
        self.timeout_seconds = timeout_seconds

    def __call__(self, url: str, output_file: str, _: object) -> None:
        """Download to the temporary file."""
        import requests

        size, expected = 0, self.record.size
        self.bar.reset()
        with (
            requests.get(url, stream=True, timeout=self.timeout_seconds) as response,
            open(output_file, "wb") as file,
        ):
            response.raise_for_status()
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                self.bar.update(len(chunk))
                size += len(chunk)
                if size > expected:
                    raise UserError(f"{url}: not the official file, more than {expected:,} bytes arrived")
        if size < expected:
            raise UserError(f"{url}: truncated, {size:,} bytes arrived instead of {expected:,}")


def _is_intact(path: Path, record: D4RLFile) -> bool:
    """Whether the file exists and is verified; a damaged one is replaced."""
    if not exists(path):
        return False
    try:
        verify_file(path, record)
    except UnreadableError:  # it may be intact
        raise
    except UserError:
        return False
    return True


def _require_space(folder: Path, record: D4RLFile) -> None:
    """Require a writable folder with enough free space for the file."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "permission denied")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise UserError(
            f"cannot write to {folder}: {one_line(error)}; set D4RL_DATASET_DIR to another folder"
        ) from error
    if free < record.size:
        raise UserError(
            f"{folder}: the disk is too full, {record.size:,} bytes are needed and {free:,} are free; "
            "set D4RL_DATASET_DIR to another folder"
        )


def _network_failure(url: str, error: Exception, timeout_seconds: float) -> str:
    """Return the message for a server that does not answer."""
    import requests

    if isinstance(error, requests.exceptions.Timeout) or "timed out" in str(error):
        return f"{url}: stalled, no data for {timeout_seconds:g} s; try again later"
    return f"{url}: cannot be reached ({type(error).__name__}); check the network connection"
