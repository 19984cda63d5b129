"""A headless Chromium over its debugging pipe: load a page at a size, look for errors, ask it things, take a picture."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-pipe",
)  # fmt: skip


def find_browser() -> str | None:
    """The first browser of :data:`NAMES` that is installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One tab. Messages of the DevTools protocol are JSON that ends in a zero byte."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from, self._buffer, self._number, self._session = to_browser, from_browser, b"", 0, None
        self._events: list[dict[str, Any]] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    def load(self, url: str, width: int, *, height: int = 900, dark: bool = False) -> list[str]:
        """Load a page as a phone or a screen of ``width`` pixels would; returns errors that the console got."""
        self._go("about:blank")  # what the page before complains of when it is left is not said of this one
        self._events.clear()
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._ask("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])
        self._go(url)
        self.ask("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
        return [text for event in self._events if (text := _error(event))]

    def _go(self, url: str) -> None:
        """Go to a page and wait for it."""
        before = self._num_loads()
        self._ask("Page.navigate", url=url)
        while self._num_loads() == before:
            self._events.append(self._read())

    def _num_loads(self) -> int:
        return sum(event["method"] == "Page.loadEventFired" for event in self._events)

    def requests(self) -> list[str]:
        """Addresses that the page asked for since it was loaded."""
        sent = [event["params"] for event in self._events if event["method"] == "Network.requestWillBeSent"]
        return [one["request"]["url"] for one in sent]

    def ask(self, expression: str) -> Any:
        """Value of a JavaScript expression in the page."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key, by the DevTools name of it."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39}
        code = codes.get(key) or ord(key.upper())
        for kind in ("keyDown", "keyUp"):
            typed = "\r" if key == "Enter" else key if len(key) == 1 else ""
            text = {"text": typed} if typed and kind == "keyDown" else {}
            self._ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse at ``start``, move it to ``end`` (both in pixels from the left and the top of the window), let go."""
        between = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        steps = [("mousePressed", start), ("mouseMoved", between), ("mouseMoved", end), ("mouseReleased", end)]
        for kind, (x, y) in steps:
            self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def choose_file(self, selector: str, path: Path) -> None:
        """Choose a file in the input that ``selector`` finds, as a person does in the window that it opens."""
        found = self._ask("Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})")["result"]
        self._ask("DOM.setFileInputFiles", files=[str(path)], objectId=found["objectId"])

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """A PNG of the page."""
        data = self._ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def pdf(self, path: Path) -> None:
        """The page as it is printed."""
        path.write_bytes(base64.b64decode(self._ask("Page.printToPDF", printBackground=False)["data"]))

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._to, data) :]
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._events.append(answer)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            more = os.read(self._from, 1 << 16)
            assert more, "the browser has ended"
            self._buffer += more
        text, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(text)


def _error(event: dict[str, Any]) -> str | None:
    """What an event complains about: an exception, an error in the console, a page that lacks something."""
    params = event.get("params", {})
    if event["method"] == "Runtime.exceptionThrown":
        return str(params["exceptionDetails"].get("exception", params["exceptionDetails"]))
    if event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
        return str(params["args"])
    if event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
        return str(params["entry"])
    return None


@contextmanager
def open_page(browser: str, folder: Path) -> Iterator[Page]:
    """A tab of a new browser whose profile is in the empty ``folder``."""
    read_end, to_browser = os.pipe()
    from_browser, write_end = os.pipe()

    def plug() -> None:  # the browser reads from 3 and writes to 4
        high = [os.dup(read_end), os.dup(write_end)]
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    command = [browser, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
    with subprocess.Popen(
        command, preexec_fn=plug, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        os.close(read_end)
        os.close(write_end)
        try:
            yield Page(to_browser, from_browser)
        finally:
            process.terminate()
            process.wait(20)
            os.close(to_browser)
            os.close(from_browser)
