"""What must be settled before anything is computed: environment, seed, machine."""

import contextlib
import importlib
import importlib.metadata
import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

DEFAULTS = {
    "KERAS_BACKEND": "tensorflow",
    # Level 2 still lets through messages about TensorFlow's own graph rewriting, now and then, in a
    # process that trains more than once.
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # TensorFlow turns oneDNN on by itself only on CPUs with AVX-512; training is twice as fast.
    "TF_ENABLE_ONEDNN_OPTS": "1",
}


def set_environment() -> None:
    """Set the variables that TensorFlow reads while it loads; the caller's own values win."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


def load_tensorflow() -> ModuleType:
    """Import TensorFlow without its start-up messages.

    Some of them are written to file descriptor 2 before TensorFlow's own log level counts
    (tensorflow issue 100442), so the descriptor points elsewhere while the library loads and
    looks for its devices.

    Returns
    -------
    module
        ``tensorflow``.
    """
    with _stderr_silenced():
        tensorflow = importlib.import_module("tensorflow")
        tensorflow.config.list_logical_devices()
    return tensorflow


@contextlib.contextmanager
def _stderr_silenced() -> Iterator[None]:
    stderr = os.dup(2)
    try:
        with open(os.devnull, "w") as devnull:
            os.dup2(devnull.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def set_seed(seed: int) -> None:
    """Make the run that follows repeatable, bit for bit, on this machine.

    Seeds Python, NumPy and Keras, and tells TensorFlow to use deterministic operations only.

    Parameters
    ----------
    seed : int
        0 to 4294967295.

    Raises
    ------
    ValueError
        If `seed` is not an integer in that range.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be an integer from 0 to {2**32 - 1}, not {seed!r}")
    tensorflow = load_tensorflow()
    import keras

    keras.utils.set_random_seed(seed)
    tensorflow.config.experimental.enable_op_determinism()


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


def artifacts_dir() -> Path:
    """Return the folder for trained models: ``artifacts/`` at the project's root.

    The root is the nearest folder, from the working directory upwards, that holds
    ``pyproject.toml`` and ``notebooks``; without one it is the working directory.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").exists() and (folder / "notebooks").is_dir():
            return folder / "artifacts"
    return here / "artifacts"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to, and rename it to `path` once all is written.

    Whatever interrupts the writing, `path` holds either the old content or the new.

    Parameters
    ----------
    path : Path
        The file to write or replace; its folder is made when missing.

    Yields
    ------
    Path
        A new name in the same folder, with the same ending.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        yield temporary
        os.replace(temporary, path)
