"""A headless Chromium without a network, steered through its DevTools protocol."""

import base64
import itertools
import json
import shutil
import subprocess
import time
from pathlib import Path

import websocket  # comes with Jupyter

PROGRAM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--mute-audio"]
FLAGS += ["--disable-popup-blocking", "--host-resolver-rules=MAP * ~NOTFOUND"]
STAGE = {"width": 1280, "height": 720, "deviceScaleFactor": 1, "mobile": False}


class Browser:
    """Opens pages, and keeps what each of them asked for and complained of."""

    def __init__(self, folder: Path):
        self.process = subprocess.Popen(
            [PROGRAM, *FLAGS, f"--user-data-dir={folder}", "--remote-debugging-port=0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        port = folder / "DevToolsActivePort"
        self.wait(lambda: port.exists() and port.read_text().count("\n"), "Chromium to start")
        number, path = port.read_text().split()
        self.socket = websocket.create_connection(
            f"ws://127.0.0.1:{number}{path}", suppress_origin=True, timeout=60
        )
        self.numbers = itertools.count(1)
        self.answers, self.pages = {}, {}
        self.send(
            "Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=True, flatten=True
        )

    def send(self, method: str, session: str | None = None, **parameters):
        """Ask for something and return the answer; events that come in between are kept."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        self.socket.send(json.dumps(message | ({"sessionId": session} if session else {})))
        while number not in self.answers:
            received = json.loads(self.socket.recv())
            if "id" in received:
                self.answers[received["id"]] = received
            else:
                self.keep(received)
        answer = self.answers.pop(number)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def keep(self, event: dict):
        """Keep an event with its page; a new page is made ready before it runs."""
        if event.get("method") == "Target.attachedToTarget":
            session = event["params"]["sessionId"]
            if event["params"]["targetInfo"]["type"] == "page":
                self.pages[session] = Page(self, session)
            else:
                self.send("Runtime.runIfWaitingForDebugger", session)
        elif event.get("sessionId") in self.pages:
            self.pages[event["sessionId"]].events.append(event)

    def open(self, url: str) -> "Page":
        """Open a page with the stage of the slides."""
        known = set(self.pages)
        self.send("Target.createTarget", url="about:blank")
        self.wait(lambda: self.send("Browser.getVersion") and set(self.pages) - known, "a page")
        page = self.pages[(set(self.pages) - known).pop()]
        page.send("Emulation.setDeviceMetricsOverride", **STAGE)
        page.send("Page.navigate", url=url)
        return page

    def wait(self, condition, what: str, seconds: float = 60):
        """Wait until something is so, and return it."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, f"waited {seconds} s for {what}"
            time.sleep(0.1)
        return found

    def close(self):
        """End the program."""
        self.send("Browser.close")
        self.process.wait(timeout=20)


class Page:
    """One page of the browser."""

    def __init__(self, browser: Browser, session: str):
        self.browser, self.session, self.events = browser, session, []
        for domain in ("Runtime", "Network", "Log", "Page"):
            self.send(f"{domain}.enable")
        self.send("Runtime.runIfWaitingForDebugger")

    def send(self, method: str, **parameters):
        """Ask for something of this page."""
        return self.browser.send(method, self.session, **parameters)

    def evaluate(self, script: str):
        """Return the value of an expression, awaited where it is a promise."""
        answer = self.send(
            "Runtime.evaluate",
            expression=script,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, script: str):
        """Wait until an expression is true, and return its value."""
        return self.browser.wait(lambda: self.evaluate(script), script)

    def requested(self) -> set[str]:
        """Return every address that was asked for, data inside the page aside."""
        sent = [e["params"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return {p["request"]["url"] for p in sent if not p["request"]["url"].startswith("data:")}

    def complaints(self) -> list[str]:
        """Return the errors and warnings on the console."""
        found = []
        for event in self.events:
            parameters = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                found.append(str(parameters["exceptionDetails"]))
            elif event["method"] == "Log.entryAdded":
                found.append(parameters["entry"]["text"])
            elif event["method"] == "Runtime.consoleAPICalled" and parameters["type"] != "log":
                found.append(str(parameters["args"]))
        return found

    def screenshot(self, path: Path):
        """Write what is seen as PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))

    def pdf(self) -> bytes:
        """Return the page as it is printed."""
        printed = self.send("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        return base64.b64decode(printed["data"])
