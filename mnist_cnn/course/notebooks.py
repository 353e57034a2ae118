"""Executing a chapter headless, and recording its outputs with the smallest possible change."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import nbformat
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from mnist_cnn.course.check.compare import (
    EXACT,
    Tolerance,
    alt_texts,
    compare_outputs,
    figures,
    normalise,
    visible,
)
from mnist_cnn.course.files import replacing


class ThisPython(AsyncKernelManager):
    """Starts the Python that runs this process, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """The kernel's command line."""
        return KernelSpec(**get_kernel_dict())


class Change(NamedTuple):
    """What `update` did with one code cell, counted from 0 as pytest counts it."""

    cell: int
    status: str
    old: str = ""
    new: str = ""


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """Return the code cells, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def execute(
    path: Path, on_cell: Callable[[int, nbformat.NotebookNode], None] | None = None
) -> nbformat.NotebookNode:
    """Run a notebook from top to bottom in a fresh kernel, in the notebook's own folder.

    Parameters
    ----------
    path : Path
        The notebook; it is not changed.
    on_cell : callable, optional
        Called after each code cell with its number, counted from 0, and the cell; what it raises
        ends the run.

    Returns
    -------
    nbformat.NotebookNode
        The notebook with its new outputs.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell raises.
    """
    path = Path(path)
    notebook = nbformat.read(path, as_version=4)
    numbers = {cell.id: number for number, cell in enumerate(code_cells(notebook))}

    def report(cell: nbformat.NotebookNode, **_: object) -> None:
        if on_cell:
            on_cell(numbers[cell.id], cell)

    client = NotebookClient(
        notebook,
        kernel_manager_class=ThisPython,
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
        on_cell_executed=report,
    )
    # What cells write to stderr is captured all the same; this is the kernel's own start-up noise.
    client.execute(stderr=subprocess.DEVNULL)
    return notebook


def update(path: Path, executed: nbformat.NotebookNode) -> list[Change]:
    """Record the outputs of a run; outputs within a cell's tolerance stay as they were.

    Nothing is written if nothing changed, so a re-record on another CPU leaves no trace.

    Parameters
    ----------
    path : Path
        The notebook to rewrite.
    executed : nbformat.NotebookNode
        The same notebook after `execute`.

    Returns
    -------
    list of Change
        One for each code cell: ``"unchanged"``, ``"within tolerance"`` or ``"changed"``.

    Raises
    ------
    ValueError
        If the run is of other code, wrote to stderr or a tag is wrong; nothing is written then.
    """
    path = Path(path)
    notebook = nbformat.read(path, as_version=4)
    pairs = list(zip(code_cells(notebook), code_cells(executed), strict=True))
    changes, count = [], 0
    for number, (cell, run) in enumerate(pairs):
        if cell.source != run.source:
            raise ValueError(f"{path.name}, cell {number}: its source changed since it was run")
        if any(output.get("name") == "stderr" for output in run.outputs):
            raise ValueError(f"{path.name}, cell {number} wrote to stderr; only stdout is recorded")
        tolerance = Tolerance.from_tags(cell.metadata.get("tags", []))
        differences = compare_outputs(cell.outputs, run.outputs, tolerance)
        if differences:
            sides = [[getattr(d, side) for d in differences] for side in ("expected", "got")]
            changes.append(Change(number, "changed", *map("\n".join, sides)))
        elif compare_outputs(cell.outputs, run.outputs, EXACT):
            changes.append(Change(number, "within tolerance"))
        else:
            changes.append(Change(number, "unchanged"))
        count += bool(cell.source.strip())
        cell.execution_count = count if cell.source.strip() else None
        cell.outputs = normalise(run.outputs if differences else cell.outputs)
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
            if output.output_type == "stream":  # of a progress bar, what is left of it
                output.text = visible(output.text)
        for alt, (output, mime) in zip(alt_texts(cell), figures(cell.outputs), strict=False):
            output["metadata"].setdefault(mime, {})["alt"] = alt  # for renderers that look
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata.pop("widgets", None)
    notebook.metadata.kernelspec = {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata.language_info = {"name": "python"}
    text = nbformat.writes(notebook, indent=1, ensure_ascii=False).rstrip("\n") + "\n"
    if text != path.read_text(encoding="utf-8"):
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
    return changes
