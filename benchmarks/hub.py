"""A class on one JupyterHub: all run a chapter at the same moment; then four accidents.

    python -m benchmarks.hub                ten users, chapter 05: ten minutes, 13 GB
    python -m benchmarks.hub --users 2      fewer

It needs Linux and, beside the course, ``pip install jupyterhub`` and, in the folder where it is
called, ``npm install configurable-http-proxy``. The installation is shared, and each user has a
home. As root, each is a user of the system by number, without an account, who can write nowhere
else, and a disk is filled; without root all of them are you, and no disk is filled. What a user
does here is what a browser does: HTTP and websockets, through the proxy.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from jupyter_client.session import Session
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from benchmarks import result
from mnist_cnn.course import editions, files

NOTEBOOK = "mnist/05_evaluation.ipynb"
A_USER = 1300  # MB that must be free for each before it begins
FIRST_ID = 20_000
ROOT = os.geteuid() == 0
CONFIG = """
import os
from jupyterhub.spawner import SimpleLocalProcessSpawner

class OwnHome(SimpleLocalProcessSpawner):
    def make_preexec_fn(self, name):
        def become():
            if {ROOT}:
                number = {FIRST_ID} + {names}.index(name)
                os.setgroups([])
                os.setgid(number)
                os.setuid(number)
            os.chdir(self.home_dir)
        return become

c.JupyterHub.spawner_class = OwnHome
c.SimpleLocalProcessSpawner.home_dir_template = "{folder}/homes/{{username}}"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allowed_users = set({names})
c.JupyterHub.bind_url = "http://127.0.0.1:{ports[0]}"
c.JupyterHub.hub_port = {ports[1]}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{ports[2]}"
c.ConfigurableHTTPProxy.command = ["{proxy}"]
c.JupyterHub.services = [dict(name="drill", api_token="{token}")]
scopes = ["admin:users", "admin:servers", "access:servers"]
c.JupyterHub.load_roles = [dict(name="drill", scopes=scopes, services=["drill"])]
c.Spawner.cmd = ["{sys.executable}", "-m", "jupyterhub.singleuser"]
# Not at home: a server that can write no connection files and signatures opens no notebook.
own_data = lambda spawner: "{folder}/data/" + spawner.user.name
c.Spawner.environment = dict(JUPYTER_DATA_DIR=own_data)
c.Spawner.http_timeout = c.Spawner.start_timeout = 600  # seconds: all of them start at once
"""


class User:
    """One of the class, at a browser."""

    def __init__(self, name: str, hub: str, token: str, home: Path):
        self.name, self.hub, self.home = name, hub, home
        self.headers = {"Authorization": f"token {token}"}
        self.seconds: dict[str, float] = {}

    async def ask(self, method: str, path: str, body: dict | None = None) -> dict:
        """Ask the hub (``hub/api/…``) or the own server (``api/…``)."""
        url = f"{self.hub}/{path if path.startswith('hub/') else f'user/{self.name}/{path}'}"
        text = None if body is None else json.dumps(body)
        request = HTTPRequest(url, method, self.headers, text, request_timeout=600)
        answer = await AsyncHTTPClient(max_clients=1000).fetch(request)
        return json.loads(answer.body) if answer.body else {}

    async def start(self) -> None:
        """Start the own server, and wait for it."""
        await self.ask("POST", f"hub/api/users/{self.name}/server", {})
        while not (await self.ask("GET", f"hub/api/users/{self.name}"))["server"]:
            await asyncio.sleep(1)

    async def notebook(self) -> dict:
        """Open the chapter."""
        return (await self.ask("GET", f"api/contents/{NOTEBOOK}"))["content"]

    async def save(self, notebook: dict) -> str:
        """Save the chapter; return what the server refuses it with, or nothing."""
        try:
            body = {"type": "notebook", "content": notebook}
            await self.ask("PUT", f"api/contents/{NOTEBOOK}", body)
        except HTTPClientError as error:
            return error.response.body.decode() if error.response else str(error)
        return ""

    async def kernel(self) -> str:
        """Start one more kernel."""
        return (await self.ask("POST", "api/kernels", {"path": NOTEBOOK}))["id"]

    async def execute(self, kernel: str, cells: list[dict]) -> None:
        """Run the code cells; an error ends it."""
        url = f"{self.hub}/user/{self.name}/api/kernels/{kernel}/channels".replace("http", "ws", 1)
        request, session = HTTPRequest(url, headers=self.headers), Session()
        connection = await websocket_connect(request, max_message_size=2**28)
        for cell in (cell for cell in cells if cell["cell_type"] == "code"):
            content = {"code": cell["source"], "allow_stdin": False}
            message = session.msg("execute_request", content) | {"channel": "shell"}
            await connection.write_message(json.dumps(message, default=str))
            state = ""
            while state != "idle":
                said = json.loads(await connection.read_message() or "null")
                state = said["content"].get("execution_state") if said else "restarting"
                if state == "restarting":
                    raise ConnectionError("the kernel died")
                if said["parent_header"].get("msg_id") != message["msg_id"]:
                    state = ""
                elif said["msg_type"] == "error":
                    raise RuntimeError(f"{self.name}: {said['content']['evalue']}")
        connection.close()

    def processes(self) -> Iterator[tuple[str, Path]]:
        """Give the /proc folder of the server and of the kernel."""
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"JUPYTERHUB_USER={self.name}\0" in (folder / "environ").read_text():
                    kernel = "ipykernel" in (folder / "cmdline").read_text()
                    yield "kernel" if kernel else "server", folder


def measure(folder: Path) -> dict[str, float]:
    """Return a process's MB, now and at its peak, and its CPU seconds, from its /proc folder.

    Of a page that several processes share, PSS counts a part for each.
    """
    text = (folder / "smaps_rollup").read_text() + (folder / "status").read_text()
    kb = {name: int(value) for name, value in re.findall(r"(?m)^(\w+):\s+(\d+) kB", text)}
    found = {"pss": kb["Pss"], "rss": kb["Rss"], "peak": kb["VmHWM"]}
    ticks = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
    seconds = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return {name: round(value / 1024) for name, value in found.items()} | {"cpu_seconds": seconds}


async def lesson(user: User) -> None:
    """Start a server, open the chapter, run it, save it."""
    started = time.perf_counter()
    await user.start()
    user.seconds["until the server is up"] = round(time.perf_counter() - started, 1)
    notebook = await user.notebook()
    await user.execute(await user.kernel(), notebook["cells"])
    assert await user.save(notebook) == ""
    user.seconds["until the chapter has run"] = round(time.perf_counter() - started, 1)


async def killed_kernel(user: User) -> str:
    """Kill the kernel while it computes."""
    before, kernel = await user.notebook(), (await user.ask("GET", "api/kernels"))[0]["id"]
    endless = [{"cell_type": "code", "source": "while True: pass"}]
    task = asyncio.create_task(user.execute(kernel, endless))
    await asyncio.sleep(2)
    os.kill(int(dict(user.processes())["kernel"].name), signal.SIGKILL)
    assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], ConnectionError)
    assert await user.notebook() == before
    await user.execute(kernel, before["cells"][:8])
    return "The server starts another kernel; the notebook is whole, and its cells are run again."


async def two_kernels(user: User) -> str:
    """Run the chapter in two more kernels of the same home, at the same time."""
    cells = (await user.notebook())["cells"]
    kernels = [await user.kernel() for _ in range(2)]
    await asyncio.gather(*(user.execute(kernel, cells) for kernel in kernels))
    return "Both run the chapter; of a file that both write, the later one stays."


async def closed_home(user: User) -> str:
    """Let nothing be written at home."""
    path = user.home / NOTEBOOK
    before = path.read_bytes()
    for closed in (path, path.parent, user.home):
        closed.chmod(0o555)
    await user.start()
    notebook = await user.notebook()
    await user.execute(await user.kernel(), notebook["cells"])
    assert "Permission denied" in await user.save(notebook) and path.read_bytes() == before
    for closed in (user.home, path.parent, path):
        closed.chmod(0o755)
    assert await user.save(notebook) == ""
    return "The chapter runs; saving is refused (“Permission denied”), and the file stays whole."


async def full_disk(user: User) -> str:
    """Fill the disk under a home, save, make room, and save again."""
    await user.start()
    notebook, path, filler = await user.notebook(), user.home / NOTEBOOK, user.home / "filler"
    before = path.read_bytes()
    with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    changed = notebook | {"cells": notebook["cells"][:9]}
    assert "No space left" in await user.save(changed) and path.read_bytes() == before
    filler.unlink()
    assert await user.save(changed) == "" and path.read_bytes() != before
    return (
        "Saving is refused (“No space left on device”), the file stays whole; with room it saves."
    )


def available() -> int:
    """Return the MB that the system could still give."""
    return int(re.findall(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())[0]) // 1024


def prepare(folder: Path, names: list[str], proxy: str, stack: contextlib.ExitStack) -> list[User]:
    """Give each user a home with the chapters, the last one a small disk; start the hub."""
    folder.chmod(0o755)
    list(editions.write("student", files.source_root() / "notebooks", folder / "mnist"))
    for number, name in enumerate(names, start=FIRST_ID):
        home, own_data = folder / "homes" / name, folder / "data" / name
        home.mkdir(parents=True)
        own_data.mkdir(parents=True)
        if ROOT and name == names[-1]:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=30m", "none", home], check=True)
            stack.callback(lambda: subprocess.run(["umount", names[-1]], cwd=folder / "homes"))
        shutil.copytree(folder / "mnist", home / "mnist")
        for path in (own_data, home, *home.rglob("*")) if ROOT else ():
            os.chown(path, number, number)
    token = secrets.token_hex(16)
    with contextlib.ExitStack() as free:
        sockets = [free.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        ports = [one.getsockname()[1] for one in sockets]
    (folder / "config.py").write_text(CONFIG.format(**globals() | locals()))
    call = [sys.executable, "-m", "jupyterhub", "-f", "config.py"]
    with open(folder / "log", "w") as log:
        hub = subprocess.Popen(call, cwd=folder, stdout=log, stderr=log)
    stack.callback(hub.wait)
    stack.callback(hub.terminate)  # with it end the proxy and the servers
    return [
        User(name, f"http://127.0.0.1:{ports[0]}", token, folder / "homes" / name) for name in names
    ]


async def drill(users: list[User]) -> dict:
    """Hold the lesson and the accidents; return what was measured and found."""
    *learners, closed, full = users
    for _ in range(120):
        with contextlib.suppress(OSError, HTTPClientError):
            await closed.ask("GET", "hub/api/")
            break
        await asyncio.sleep(1)
    free = available()
    await asyncio.gather(*map(lesson, learners))
    rows = [
        user.seconds | {kind: measure(folder) for kind, folder in user.processes()}
        for user in learners
    ]
    found = {"users": rows, "mb_taken": free - available()}
    print(*rows, sep="\n", flush=True)
    accidents = {"a kernel is killed": await killed_kernel(learners[0])}
    accidents["two kernels on one home"] = await two_kernels(learners[-1])
    accidents["a read-only home"] = await closed_home(closed)
    accidents["a full disk"] = await full_disk(full) if ROOT else "Not tried: that needs root."
    return found | {"accidents": accidents}


def main() -> None:
    """Hold the lesson, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=10, metavar="N")
    count = parser.parse_args().users
    path = f"{os.path.abspath('node_modules/.bin')}{os.pathsep}{os.environ['PATH']}"
    if not (proxy := shutil.which("configurable-http-proxy", path=path)):
        parser.error("no proxy: npm install configurable-http-proxy")
    if (needed := count * A_USER) > (free := available()):
        parser.error(f"{count} users need {needed:,} MB of memory, and {free:,} MB are free")
    names = [f"user-{number}" for number in range(1, count + 1)] + ["closed", "full"]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        users = prepare(Path(folder), names, proxy, stack)
        try:
            found = asyncio.run(drill(users))
        except BaseException:
            print(Path(folder, "log").read_text()[-3000:], file=sys.stderr)
            raise
    print(*found["accidents"].values(), sep="\n")
    result.write(Path(__file__).parent / "results" / "hub.json", found)


if __name__ == "__main__":
    main()
