"""What the measurements of growth.py and costs.py share: a process of one's own, and its memory."""

import multiprocessing
import os
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple


class Memory(NamedTuple):
    """A process's memory in RAM, in MB of 2**20 bytes.

    Attributes
    ----------
    now, peak : int
        At present, and the most so far.
    mapped : int
        What of the present memory is pages of files, such as TensorFlow's own code. The system
        can drop them, and processes share them.
    """

    now: int
    peak: int
    mapped: int


def memory(process: int | str = "self") -> Memory | None:
    """Return what Linux says of a process's memory; None on other systems.

    Not from ``getrusage``: its peak counts that of the process which started this one.

    Parameters
    ----------
    process : int or "self"
        Its number.

    References
    ----------
    proc_pid_status(5): VmRSS, VmHWM and RssFile, in units of 1,024 bytes.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    found = dict(re.findall(r"^(\w+):\s+(\d+) kB", status, re.MULTILINE))
    return Memory(*(round(int(found[name]) / 1024) for name in ("VmRSS", "VmHWM", "RssFile")))


def call(function: Callable, *arguments: Any) -> Any:
    """Call `function` in a new process and return what it returns; what it raises is raised here.

    The process inherits nothing but the environment, so it loads every library anew.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=_silence) as pool:
        return pool.submit(function, *arguments).result()


def _silence() -> None:
    """Send TensorFlow's start-up messages nowhere; errors travel as exceptions."""
    with open(os.devnull, "w") as devnull:
        os.dup2(devnull.fileno(), 2)
