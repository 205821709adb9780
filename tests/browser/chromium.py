"""Headless Chromium, driven through chromedriver's WebDriver interface (https://www.w3.org/TR/webdriver2/)."""

import base64
import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_OPTIONS = {
    "goog:chromeOptions": {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]},
    "goog:loggingPrefs": {"browser": "ALL"},
}


class Browser:
    """A window of Chromium.

    Args:
        session: URL of its WebDriver session.
    """

    def __init__(self, session: str) -> None:
        self._session = session

    def open(self, url: str) -> None:
        """Opens a page and waits until it is loaded."""
        _post(f"{self._session}/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """Runs a script with its arguments in `arguments` and returns its value."""
        return _post(f"{self._session}/execute/sync", {"script": script, "args": list(arguments)})

    def press(self, keys: str) -> None:
        """Types keys into the element that has the focus; special keys are WebDriver's code points."""
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        _post(f"{self._session}/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]})

    def console(self) -> list[dict[str, Any]]:
        """Returns the messages of the console since the last call."""
        return _post(f"{self._session}/se/log", {"type": "browser"})

    def emulate(self, width: int, *, scheme: str = "light") -> None:
        """Sets the width of the screen in CSS pixels, and the light or the dark scheme."""
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self._devtools("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._devtools("Emulation.setEmulatedMedia", {"features": features})

    def screenshot(self, path: Path) -> None:
        """Writes the whole page as PNG, including the part below the window."""
        whole = self._devtools("Page.captureScreenshot", {"captureBeyondViewport": True})
        path.write_bytes(base64.b64decode(whole["data"]))

    def _devtools(self, command: str, parameters: dict[str, Any]) -> Any:
        return _post(f"{self._session}/goog/cdp/execute", {"cmd": command, "params": parameters})


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Starts chromedriver with a window, and ends both."""
    if shutil.which("chromedriver") is None:
        pytest.fail("no chromedriver: apt-get install chromium chromium-driver")
    with subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        try:
            port = next(
                found[1] for line in driver.stdout if (found := re.search(r"started successfully on port (\d+)", line))
            )
            root = f"http://localhost:{port}/session"
            session = f"{root}/{_post(root, {'capabilities': {'alwaysMatch': _OPTIONS}})['sessionId']}"
            yield Browser(session)
            _call(urllib.request.Request(session, method="DELETE"))
        finally:
            driver.kill()


def _post(url: str, content: dict[str, Any]) -> Any:
    return _call(urllib.request.Request(url, json.dumps(content).encode(), {"Content-Type": "application/json"}))


def _call(request: urllib.request.Request) -> Any:
    """Returns the value of a response of this machine, without any proxy."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=60) as answer:
        return json.load(answer)["value"]
