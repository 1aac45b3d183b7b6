"""A headless Chromium driven over the WebDriver protocol (W3C), by plain HTTP requests to chromedriver."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

WAIT_S = 60
SCRIPT_WAIT_MS = 20_000

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
]


def chromium() -> tuple[str, str] | None:
    """Browser and driver, if this machine has both."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Browser:
    """One window of 800 by 480."""

    def __init__(self, session_url: str) -> None:
        self._url = session_url

    def command(self, path: str, **parameters: Any) -> Any:
        answer = requests.post(f"{self._url}/{path}", json=parameters, timeout=WAIT_S).json()["value"]
        if isinstance(answer, dict) and "error" in answer:
            raise AssertionError(f"{path}: {answer['error']}: {answer['message'].splitlines()[0]}")
        return answer

    def open(self, url: str) -> None:
        self.command("url", url=url)

    def run(self, script: str, *arguments: Any) -> Any:
        """The value that this body of a function returns."""
        return self.command("execute/sync", script=script, args=list(arguments))

    def wait(self, condition: str, *arguments: Any) -> Any:
        """Look every 10 ms until this expression over ``args`` is true; its value. Fails after 20 s."""
        script = f"""
            const args = [...arguments], answer = args.pop();
            const look = () => {{ const got = ({condition}); if (got) answer(got); else setTimeout(look, 10); }};
            look();
        """
        return self.command("execute/async", script=script, args=list(arguments))

    def click(self, selector: str) -> None:
        (element,) = self.command("element", using="css selector", value=selector).values()
        self.command(f"element/{element}/click")

    def resize(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.command("goog/cdp/execute", cmd="Emulation.setDeviceMetricsOverride", params=metrics)

    def screenshot(self) -> bytes:
        """PNG."""
        return base64.b64decode(requests.get(f"{self._url}/screenshot", timeout=WAIT_S).json()["value"])


@contextmanager
def browsing(browser: str, driver: str, folder: Path) -> Iterator[Browser]:
    """Start driver and browser on a fresh profile in ``folder``; both end with the block."""
    process = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        found = None
        for line in process.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                break
        assert found is not None, "chromedriver did not say its port"
        driver_url = f"http://127.0.0.1:{found[1]}"
        options = {"binary": browser, "args": [*FLAGS, f"--user-data-dir={folder}"]}
        wanted = {"goog:chromeOptions": options, "timeouts": {"script": SCRIPT_WAIT_MS}}
        answer = requests.post(f"{driver_url}/session", json={"capabilities": {"alwaysMatch": wanted}}, timeout=WAIT_S)
        started = answer.json()["value"]
        assert "sessionId" in started, started
        window = Browser(f"{driver_url}/session/{started['sessionId']}")
        try:
            window.resize(800, 480)
            yield window
        finally:
            requests.delete(f"{driver_url}/session/{started['sessionId']}", timeout=WAIT_S)
    finally:
        process.terminate()
        process.wait(WAIT_S)
        if process.stdout is not None:
            process.stdout.close()
