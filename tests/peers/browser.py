"""A headless Chromium, driven by WebDriver's own HTTP protocol (W3C): no library stands between."""

from __future__ import annotations

import asyncio
import base64
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
ENTER = "\ue007"
PATIENCE_S = 20.0
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # test machines run as root
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    "--force-color-profile=srgb",
)


def is_there() -> bool:
    """Whether this machine has a browser and its driver."""
    return bool(shutil.which("chromedriver") and (shutil.which("chromium") or shutil.which("google-chrome")))


class Browser:
    """One window."""

    def __init__(self, http: ClientSession, session: str) -> None:
        self._http = http
        self._session = session

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        async with self._http.request(method, f"{self._session}{path}", json=body) as answer:
            value = (await answer.json())["value"]
            if answer.status != 200:
                raise AssertionError(f"{path}: {value['error']}: {value['message']}")
            return value

    async def open(self, address: str) -> None:
        """Goes there and waits until it is loaded."""
        await self._ask("POST", "/url", {"url": address})

    async def run(self, script: str, *arguments: Any) -> Any:
        """What the script returns; a promise is waited for."""
        return await self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    async def until(self, condition: str, *arguments: Any) -> Any:
        """What the expression gives as soon as that is true; asked at every frame of the page."""
        script = f"""const [args, patience] = [arguments[0], arguments[1]]; const begin = performance.now();
            return new Promise((good, bad) => {{ const look = () => {{
                let found = false; try {{ found = {condition}; }} catch (error) {{ found = false; }}
                if (found) good(found);
                else if (performance.now() - begin > patience) bad(new Error("never: " + {condition!r}));
                else requestAnimationFrame(look); }}; look(); }});"""
        return await self.run(script, list(arguments), PATIENCE_S * 1000)

    async def type(self, selector: str, text: str) -> None:
        """Types into an element."""
        found = await self._ask("POST", "/element", {"using": "css selector", "value": selector})
        await self._ask("POST", f"/element/{found[ELEMENT]}/value", {"text": text})

    async def click(self, selector: str) -> None:
        """Clicks an element as a person would."""
        found = await self._ask("POST", "/element", {"using": "css selector", "value": selector})
        await self._ask("POST", f"/element/{found[ELEMENT]}/click", {})

    async def press(self, key: str) -> None:
        """A key, wherever the focus is."""
        steps = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        await self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": steps}]})

    async def resize(self, width: int, height: int) -> None:
        """Makes the window that large, as far as the browser lets it become small."""
        await self._ask("POST", "/window/rect", {"width": width, "height": height})

    async def picture(self) -> bytes:
        """A screenshot, PNG."""
        return base64.b64decode(await self._ask("GET", "/screenshot"))

    async def complaints(self) -> list[str]:
        """What the browser wrote into its console as errors, such as a broken content policy."""
        entries = await self._ask("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    async def close(self) -> None:
        """Closes the window."""
        await self._ask("DELETE", "")


async def _started(driver: asyncio.subprocess.Process) -> int:
    """The port that the driver chose and says on its standard output."""
    assert driver.stdout is not None
    async for line in driver.stdout:
        if b"started successfully on port" in line:
            return int(line.rstrip().rstrip(b".").rpartition(b" ")[2])
    raise AssertionError("chromedriver ended before it listened")


@asynccontextmanager
async def chromium(profile: Path, *more: str, width: int = 1366, height: int = 768) -> AsyncIterator[Browser]:
    """A fresh window of this size."""
    driver = await asyncio.create_subprocess_exec("chromedriver", "--port=0", stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(PATIENCE_S):
            base = f"http://127.0.0.1:{await _started(driver)}/session"
        arguments = [*ARGUMENTS, f"--user-data-dir={profile}", f"--window-size={width},{height}", *more]
        wanted = {"goog:chromeOptions": {"args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}}
        async with ClientSession() as http:
            async with http.post(base, json={"capabilities": {"alwaysMatch": wanted}}) as answer:
                value = (await answer.json())["value"]
                assert "sessionId" in value, value
            browser = Browser(http, f"{base}/{value['sessionId']}")
            try:
                yield browser
            finally:
                await browser.close()
    finally:
        driver.terminate()
        await driver.communicate()
