"""Downloads of the official D4RL files: to a temporary file, checked, then moved. Only ever on request."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from ssar_jax.data.d4rl_files import D4RL_BASE_URL, D4RLFile
from ssar_jax.data.files import one_line
from ssar_jax.data.sources.d4rl import d4rl_directory, verify_file
from ssar_jax.data.tasks import Task
from ssar_jax.errors import UserError

_CHUNK = 1 << 20  # bytes per read


class Downloaded(NamedTuple):
    """The outcome of a download.

    Attributes:
        path: The verified file.
        fetched: False if it was there already.
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
    """Download a task's official file, unless it is there and intact.

    Under its final name there is at any time either nothing new or the complete file with the right checksum.

    Args:
        task: One of the 18 tasks.
        directory: Where to; None is D4RL's cache.
        base_url: Where from; the file's path is appended.
        progress: Show a progress bar on a terminal.
        timeout_seconds: Longest wait for the server, to connect and between two pieces of data.
        retries: How often to start again after a failure of the network or the checksum.

    Returns:
        The path, and whether anything was fetched.

    Raises:
        UserError: The task has no file, the folder cannot be written to, the disk is too full, or the server
            cannot be reached, stalls, or sends something truncated or damaged.
    """
    # Here and not above: requests, which pooch imports, takes a tenth of a second and only downloads need it.
    import pooch
    import requests

    record = task.file
    if record is None:
        raise UserError(f"task {task.name} has no official file to download")
    folder = d4rl_directory() if directory is None else Path(directory)
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
        raise UserError(f"{url}: truncated, the connection broke before {record.size:,} bytes came") from error
    except requests.exceptions.RequestException as error:
        raise UserError(_network_failure(url, error, timeout_seconds)) from error
    except ValueError as error:  # pooch's word for a wrong checksum
        raise UserError(f"{url}: damaged, the sha256 of what came is not {record.sha256}") from error
    except OSError as error:
        raise UserError(f"cannot write {path}: {one_line(error)}") from error
    finally:
        bar.close()
    path.chmod(0o644)  # the temporary file had 0600, which would hide it from a shared folder's other users
    verify_file(path, record)
    return Downloaded(path, fetched=True)


class _Downloader:
    """What pooch calls to fill its temporary file.

    Pooch's own downloader neither closes a broken connection nor tells a short file from a damaged one.
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
                    raise UserError(f"{url}: not the official file, more than {expected:,} bytes came")
        if size < expected:
            raise UserError(f"{url}: truncated, {size:,} bytes came instead of {expected:,}")


def _is_intact(path: Path, record: D4RLFile) -> bool:
    """Whether the file is there and right; a damaged one will be replaced."""
    if not path.exists():
        return False
    try:
        verify_file(path, record)
    except UserError:
        return False
    return True


def _require_space(folder: Path, record: D4RLFile) -> None:
    """Require a writable folder with room for the file."""
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
    """Describe why nothing came."""
    import requests

    if isinstance(error, requests.exceptions.Timeout) or "timed out" in str(error):
        return f"{url}: stalled, no data for {timeout_seconds:g} s; try again later"
    return f"{url}: cannot be reached ({type(error).__name__}); check the network connection"
