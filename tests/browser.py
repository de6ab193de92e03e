"""A headless browser for the tests: started with the network cut, driven over a pipe, standard library only."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CUT_OFF = ("--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9", "--proxy-bypass-list=<-loopback>")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-dev-shm-usage",
    "--no-default-browser-check", "--metrics-recording-only", "--disable-default-apps",
)  # fmt: skip


def find_browser() -> str | None:
    """Path of a Chromium that can be driven here, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None) if os.name == "posix" else None


def alone() -> list[str]:
    """Words that start a program in a network of its own that leads nowhere, where the system allows that."""
    for words in (["unshare", "-n"], ["unshare", "-rn"]):
        if shutil.which(words[0]) and subprocess.run([*words, "true"], capture_output=True).returncode == 0:
            return words
    return []


class Page:
    """One open page: what it asked of the network, what it told the console, and hands to use it."""

    def __init__(self, send: int, receive: int):
        self._send, self._receive, self._buffer, self._last = send, receive, b"", 0
        self._session = ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log", "DOMStorage", "Audits"):
            self.call(f"{domain}.enable")

    def open(self, path: Path) -> None:
        self._loading("Page.navigate", url=path.resolve().as_uri())

    def reload(self) -> None:
        self._loading("Page.reload")

    def back(self) -> None:
        """Go back as the browser's button does, to a page it may have kept alive."""
        found = self.call("Page.getNavigationHistory")
        entry = found["entries"][found["currentIndex"] - 1]
        self.call("Page.navigateToHistoryEntry", entryId=entry["id"])
        until = time.monotonic() + 20
        while time.monotonic() < until:
            now = self.call("Page.getNavigationHistory")["currentIndex"]
            with contextlib.suppress(AssertionError):  # between two pages there is none to ask
                if now == found["currentIndex"] - 1 and self.run("document.readyState") == "complete":
                    return
            time.sleep(0.02)
        raise AssertionError("the browser does not go back")

    def run(self, script: str) -> Any:
        """Evaluate and return a value; the page's own policy does not bind the tests."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def click(self, selector: str) -> None:
        """Press the mouse in the middle of an element, as a reader would."""
        find = f"document.querySelector({json.dumps(selector)})"
        x, y, hit = self.run(
            f"(() => {{ const e = {find}; e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect();"
            "const x = r.x + r.width / 2, y = r.y + r.height / 2, top = document.elementFromPoint(x, y);"
            "return [x, y, top === e || e.contains(top)]; })()"
        )
        assert hit, f"{selector} is covered by something else"
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def write(self, selector: str, text: str) -> None:
        self.click(selector)
        self.run(f"document.querySelector({json.dumps(selector)}).select()")
        self.call("Input.insertText", text=text)

    def size(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def picture(self, path: Path) -> None:
        done = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(done["data"]))

    @property
    def requested(self) -> list[str]:
        """Addresses of everything the page asked for, in whatever way."""
        self.call("Runtime.evaluate", expression="0")  # whatever happened before has been told by then
        kinds = ("Network.requestWillBeSent", "Network.webSocketCreated", "Network.webTransportCreated")
        told = [event["params"] for event in self.events if event["method"] in kinds]
        return [params.get("request", params)["url"] for params in told]

    @property
    def complaints(self) -> list[str]:
        """Errors, refusals of the security policy and messages of the console."""
        kinds = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Audits.issueAdded")
        return [json.dumps(event["params"], ensure_ascii=False) for event in self.events if event["method"] in kinds]

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command; one that meets a page between two loads is sent again."""
        for _ in range(50):
            answer = self._answer(method, params)
            if "Not attached to an active page" not in str(answer.get("error")):
                break
            time.sleep(0.1)
        assert "error" not in answer, f"{method}: {answer.get('error')}"
        return answer["result"]

    def _answer(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._last:
                return answer

    def _loading(self, method: str, **params: Any) -> None:
        self.events = [event for event in self.events if event["method"] != "Page.loadEventFired"]
        self.call(method, **params)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._read()

    def _read(self) -> dict[str, Any]:
        until = time.monotonic() + 30
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._receive], [], [], max(0.0, until - time.monotonic()))
            part = os.read(self._receive, 1 << 20) if ready else b""
            assert part, "the browser has gone silent"
            self._buffer += part
        text, self._buffer = self._buffer.split(b"\0", 1)
        message = json.loads(text)
        if "method" in message:
            self.events.append(message)
        return message


@contextlib.contextmanager
def browser(program: str, profile: Path) -> Iterator[Page]:
    """Start a browser with an empty profile and no network; it ends with the block."""
    ends = [*os.pipe(), *os.pipe()]
    # The browser reads commands from file descriptor 3 and writes to 4: ours must not be these.
    theirs_in, ours_out, ours_in, theirs_out = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in ends)
    for end in ends:
        os.close(end)

    def place() -> None:
        os.dup2(theirs_in, 3)
        os.dup2(theirs_out, 4)

    command = [*alone(), program, *QUIET, *CUT_OFF, f"--user-data-dir={profile}", "--remote-debugging-pipe"]
    process = subprocess.Popen(
        [*command, "about:blank"],
        pass_fds=(3, 4),
        preexec_fn=place,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Page(ours_out, ours_in)
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        os.close(ours_out)
        os.close(ours_in)
