"""What the speed and the last digits of a result depend on: versions, processor, engine."""

import contextlib
import importlib.metadata
import os
import platform
from pathlib import Path


def versions() -> dict[str, str]:
    """Return the versions of the libraries that the numbers depend on."""
    names = ("mnist-cnn", "keras", "tensorflow", "numpy")
    return {name: importlib.metadata.version(name) for name in names}


def machine() -> dict[str, str | int]:
    """Return what the speed and the last digits of a result depend on: CPU, threads, engine."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "cpu": _cpu_name(),
        "cpu_features": " ".join(_cpu_features()),
        "threads": usable_cpus(),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        "onednn_max_cpu_isa": os.environ.get("ONEDNN_MAX_CPU_ISA", "default"),
    }


def usable_cpus() -> int:
    """Return the number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_info(field: str) -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(field):
                return line.partition(":")[2].strip()
    return ""


def _cpu_name() -> str:
    return _cpu_info("model name") or platform.processor() or "unknown"


def _cpu_features() -> list[str]:
    known = ("sse4_1", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")
    present = _cpu_info("flags").split()
    return [name for name in known if name in present]
