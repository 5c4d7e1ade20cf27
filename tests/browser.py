"""Debian's Chromium, driven over its own pipe (Chrome DevTools Protocol): no driver, no port, no further package."""

import base64
import fcntl
import itertools
import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or ""
FLAGS = (
    *("--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio"),
    *("--disable-dev-shm-usage", "--remote-debugging-pipe", "--force-color-profile=srgb"),
    # a name that is not ours is never asked for, and its request is seen as failed
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="Debian's package chromium is not installed")


class Browser:
    """One tab. Methods wait for Chromium's answer, and raise AssertionError for its errors."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, os.fdopen(answers, "rb")
        self._numbers = itertools.count(1)
        self._session = ""
        self.events: list[dict[str, Any]] = []
        page = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Accessibility", "DOM", "Performance"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """Send one command of the protocol and return its result; events that come meanwhile are kept."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != number:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        read = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            assert byte, "Chromium has ended"
            read += byte
        answer: dict[str, Any] = json.loads(read)
        return answer

    def wait_for(self, event: str) -> dict[str, Any]:
        """Return the params of the next event of this name; the others are kept."""
        while True:
            for place, one in enumerate(self.events):
                if one["method"] == event:
                    return dict(self.events.pop(place)["params"])
            self.events.append(self._next())

    def open(self, url: str) -> None:
        """Open a page, and wait until it is loaded."""
        self.events = [one for one in self.events if one["method"] != "Page.loadEventFired"]
        self.call("Page.navigate", url=url)
        self.wait_for("Page.loadEventFired")

    def run(self, script: str) -> Any:
        """Evaluate an expression in the page, wait for its promise, and return its value."""
        done = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def size(self, width: int, height: int) -> None:
        """Give the page the size of a screen; a narrow one is a phone's."""
        phone = width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )  # fmt: skip

    def media(self, **features: str) -> None:
        """Set media features, such as prefers_color_scheme="dark"."""
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=named)

    def without_script(self) -> None:
        """Switch JavaScript off for the pages that are opened from now on."""
        self.call("Emulation.setScriptExecutionDisabled", value=True)

    def press(self, key: str, code: int = 0) -> None:
        """Press and release a key, such as Tab (9) or Enter (13)."""
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Write a PNG of the screen, or of the whole page."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def requests(self) -> list[str]:
        """Return the addresses of all requests so far."""
        self.call("Runtime.evaluate", expression="0")  # what has happened is among the events then
        sent = [one["params"]["request"]["url"] for one in self.events if one["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith("data:")]

    def complaints(self) -> list[str]:
        """Return errors and warnings of the console so far, such as breaches of the content policy."""
        self.call("Runtime.evaluate", expression="0")
        logged = [one["params"]["entry"]["text"] for one in self.events if one["method"] == "Log.entryAdded"]
        thrown = [str(one["params"]) for one in self.events if one["method"] == "Runtime.exceptionThrown"]
        return logged + thrown

    def nodes(self) -> int:
        """Return how many elements the page has."""
        return int(self.run("document.getElementsByTagName('*').length"))


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """Start Chromium with an empty profile in this folder; end it with all its processes."""
    read_commands, commands = os.pipe()
    answers, write_answers = os.pipe()
    # numbers above those that Chromium reads and writes, and that nobody in this process has
    high = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in (read_commands, write_answers)]
    root = ("--no-sandbox",) if os.geteuid() == 0 else ()
    words = [CHROMIUM, *FLAGS, *root, f"--user-data-dir={folder / 'profile'}", "about:blank"]
    environ = {**os.environ, "HOME": str(folder)}
    with (folder / "chromium.log").open("wb") as log:
        actions = [
            (os.POSIX_SPAWN_DUP2, high[0], 3),
            (os.POSIX_SPAWN_DUP2, high[1], 4),
            (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
        ]
        pid = os.posix_spawn(CHROMIUM, words, environ, file_actions=actions, setpgroup=0)
    for each in (read_commands, write_answers, *high):
        os.close(each)
    try:
        yield Browser(commands, answers)
    finally:
        os.close(commands)
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
