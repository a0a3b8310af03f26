"""Chromium without a window, spoken to over a pipe: what a page does when a person opens it."""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

_HIGH = 20  # of the pipe's ends here, so that they are not the two that Chromium wants
_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
          "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
          "--remote-debugging-pipe"]  # fmt: skip


def chromium() -> str | None:
    """Find a Chromium; None where none is installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


class Browser:
    """One page in Chromium.

    Attributes:
        complaints: errors and warnings of the console, and exceptions.
        requests: addresses that were asked for.
    """

    def __init__(self, program: str, profile: Path) -> None:
        ours, theirs = _pipe(), _pipe()
        words = f'exec "$0" "$@" 3<&{ours[0]} 4>&{theirs[1]}'
        self._process = subprocess.Popen(
            ["bash", "-c", words, program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(ours[0], theirs[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(ours[0])
        os.close(theirs[1])
        self._write, self._read, self._number, self._buffer = ours[1], theirs[0], 0, b""
        self._session: str | None = None
        self._loaded = False
        self.complaints: list[str] = []
        self.requests: list[str] = []
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        found = self.call("Target.attachToTarget", targetId=page, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        """End the process and those that it started."""
        os.close(self._write)
        os.close(self._read)
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def call(self, method: str, **parameters):
        """Call a method of the protocol, and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self._number:
                if "error" in told:
                    raise RuntimeError(f"{method}: {told['error']}")
                return told["result"]

    def open(self, address: str, width: int = 1280, height: int = 900) -> None:
        """Open a page and wait until it is drawn."""
        self.resize(width, height)
        self._loaded = False
        self.call("Page.navigate", url=address)
        while not self._loaded:
            self._next()
        self.settle()

    def resize(self, width: int, height: int = 900) -> None:
        """Give the window a size, in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)  # fmt: skip

    def settle(self) -> None:
        """Wait until the page has had time to draw two frames."""
        self.run("new Promise(d => requestAnimationFrame(() => requestAnimationFrame(d)))")

    def run(self, script: str):
        """Run an expression in the page and return its value."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True,
                          awaitPromise=True)  # fmt: skip
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"].get("description"))
        return found["result"].get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key and let it go."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, text=text,
                      windowsVirtualKeyCode=code)  # fmt: skip
        self.settle()

    def picture(self, path: Path, top: int, width: int, height: int) -> None:
        """Save a part of the page as PNG, to look at."""
        clip = {"x": 0, "y": top, "width": width, "height": height, "scale": 1}
        found = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def _next(self) -> dict:
        """Wait for a message; note what the page complains of and asks for."""
        end = time.monotonic() + 60
        while b"\0" not in self._buffer:
            if not select.select([self._read], [], [], max(end - time.monotonic(), 0))[0]:
                raise TimeoutError("Chromium has said nothing for a minute")
            part = os.read(self._read, 1 << 20)
            if not part:
                raise RuntimeError("Chromium has ended")
            self._buffer += part
        line, self._buffer = self._buffer.split(b"\0", 1)
        told = json.loads(line)
        what, more = told.get("method"), told.get("params", {})
        if what == "Runtime.exceptionThrown":
            self.complaints.append(str(more["exceptionDetails"]))
        elif what == "Runtime.consoleAPICalled" and more["type"] in ("error", "warning"):
            self.complaints.append(str(more["args"]))
        elif what == "Log.entryAdded" and more["entry"]["level"] in ("error", "warning"):
            self.complaints.append(str(more["entry"]))
        elif what == "Network.requestWillBeSent":
            self.requests.append(more["request"]["url"])
        elif what == "Page.loadEventFired":
            self._loaded = True
        return told


def _pipe() -> list[int]:
    """Make a pipe whose ends have high numbers."""
    ends = []
    for end in os.pipe():
        ends.append(fcntl.fcntl(end, fcntl.F_DUPFD, _HIGH))
        os.close(end)
    return ends
