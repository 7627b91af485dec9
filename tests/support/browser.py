"""A page in headless Chromium, driven through the DevTools protocol (the `websocket-client` package of `dev`)."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 60.0
"""Seconds that anything may take on a busy machine."""


def chromium() -> str | None:
    """Chromium: what ADAPTERX_CHROMIUM names, else the first on PATH."""
    named = os.environ.get("ADAPTERX_CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


def needs_chromium() -> pytest.MarkDecorator:
    """Skip, saying so, where there is none."""
    return pytest.mark.skipif(chromium() is None, reason="no Chromium here (ADAPTERX_CHROMIUM, or on PATH)")


class Browser:
    """One tab. What it logs, throws and asks of the network is noted.

    Args:
        port: on which Chromium listens to its tools.
    """

    def __init__(self, port: int) -> None:
        import websocket

        self._number = 0
        self.complaints: list[str] = []
        """Errors and warnings of the console, exceptions, violations of the page's own policy."""
        self.requests: list[str] = []
        address = f"http://127.0.0.1:{port}/json/list"
        tabs = _fetched(address)
        (tab, *_) = [one for one in tabs if one["type"] == "page"]
        self._socket = websocket.create_connection(tab["webSocketDebuggerUrl"], timeout=PATIENCE, suppress_origin=True)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer, noting events on the way."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                found: dict[str, Any] = answer["result"]
                return found
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        method, told = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["exceptionDetails"])[:500])
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.complaints.append(told["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(told["args"])[:500])
        elif method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])

    def open(self, path: Path, fragment: str = "") -> None:
        """Load a file and wait until its script has run."""
        self.ask("Page.navigate", url="about:blank")
        self.requests.clear()
        self.ask("Page.navigate", url=path.as_uri() + fragment)
        self.wait("document.documentElement?.dataset.ready === '1'")

    def run(self, script: str) -> Any:
        """The value of an expression on the page."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until an expression is true."""
        end = time.monotonic() + PATIENCE
        while self.run(condition) is not True:
            assert time.monotonic() < end, f"it never came about: {condition}"
            time.sleep(0.05)

    def click(self, query: str) -> None:
        """Click the middle of the first element that a selector finds, as a mouse does."""
        x, y = self._middle(query)
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def point(self, query: str) -> None:
        """Move the mouse to the first element that a selector finds."""
        x, y = self._middle(query)
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def _middle(self, query: str) -> tuple[float, float]:
        """Where an element is, in sight, once the page has come to rest."""
        x, y = self.run(
            f"(async () => {{ const one = document.querySelector({json.dumps(query)});"
            " one.scrollIntoView({block: 'center', inline: 'center'});"
            " for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);"
            " const at = one.getBoundingClientRect(); return [at.x + at.width / 2, at.y + at.height / 2]; })()"
        )
        return x, y

    def press(self, key: str, code: int) -> None:
        """Press a key, such as Enter (13), Escape (27) or Tab (9)."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def look(self, *, width: int = 1200, height: int = 900, dark: bool = False, media: str = "screen") -> None:
        """Set the size of the window, the colour scheme that is preferred, and the medium."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Write a screenshot, PNG."""
        found = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))


def _fetched(address: str) -> Any:
    from urllib.request import urlopen

    with urlopen(address, timeout=PATIENCE) as answer:  # noqa: S310 - of this machine
        return json.load(answer)


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A tab of a Chromium of its own, which ends with the block."""
    program = chromium()
    assert program is not None, "ask `needs_chromium` first"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        options += ["--disable-background-networking", "--hide-scrollbars", "--remote-debugging-port=0"]
        command = [program, *options, f"--user-data-dir={home}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = Path(home, "DevToolsActivePort")
            end = time.monotonic() + PATIENCE
            while not (port.is_file() and port.read_text().strip()):
                assert process.poll() is None and time.monotonic() < end, "Chromium does not start"
                time.sleep(0.1)
            yield Browser(int(port.read_text().split()[0]))
        finally:
            process.terminate()
            process.wait(PATIENCE)
