"""How each benchmark writes what it measured."""

import json
from pathlib import Path

from mnist_cnn.course import files, machine


def write(path: Path, content: dict) -> None:
    """Write a result as JSON, with the machine and the versions it holds for, and say where."""
    content = {"machine": machine.machine(), "versions": machine.versions()} | content
    with files.replacing(path) as new:
        new.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"written: {path}")
