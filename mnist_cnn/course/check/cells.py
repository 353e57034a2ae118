"""nbval's notebooks and cells, but every recorded output of every code cell is compared."""

import copy
import glob
import io
import itertools
import os
import re
import time
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from queue import Empty
from typing import Any
from unittest import mock

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete
from nbval.plugin import IPyNbCell, IPyNbFile
from PIL import Image, ImageChops, ImageOps

from .compare import Difference, Rules, check_cell

PATIENCE = 10  # seconds that a cell has to end once it was interrupted


class CellDiffersError(Exception):
    """A cell's recorded outputs are not those of this run."""


class CellUnfinishedError(Exception):
    """A cell did not come to its end."""


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> Generator[None, list, list[pytest.Collector]]:
    """Put our notebook in the place of nbval's."""
    collectors = yield
    return [
        NotebookFile.from_parent(parent, path=file_path) if isinstance(c, IPyNbFile) else c
        for c in collectors
    ]


class NotebookFile(IPyNbFile):
    """A notebook; `nb` is the executed copy, each cell keeps what was recorded."""

    def collect(self) -> list["NotebookCell"]:
        """Return the code cells, each with its record set aside."""
        self.rules = Rules(
            strict=self.config.getoption("nbcheck") == "strict",
            tags=frozenset(self.config.getini("nbcheck_tags")),
        )
        self.items: list[NotebookCell] = []
        self.done, self.failed = 0, False
        try:
            # nbval's own options are left out: no marker may switch a check off.
            for item in super().collect():
                arguments = {"cell_num": item.cell_num, "cell": item.cell}
                self.items.append(
                    NotebookCell.from_parent(
                        self, name=item.name, options=defaultdict(bool), **arguments
                    )
                )
        except nbformat.reader.NotJSONError as error:
            raise self.CollectError(f"{self.path.name} is not a notebook: {error}") from None
        return self.items

    def setup(self) -> None:
        """Start the kernel, and what shows its messages as `jupyter execute` does."""
        self.kept = self.config.rootpath / self.config.getini("nbcheck_folder")
        self.kept /= self.nodeid.removesuffix(".ipynb")
        pictures = self.kept.parent.glob(f"{glob.escape(self.kept.name)}-cell*.png")
        for stale in (self.kept.with_name(f"{self.kept.name}.ipynb"), *pictures):
            stale.unlink(missing_ok=True)
        with mock.patch.dict(os.environ):
            # With this variable ipykernel hides what C code writes to stderr: a student sees it.
            os.environ.pop("PYTEST_CURRENT_TEST", None)
            super().setup()
        self.front_end = NotebookClient(self.nb, record_timing=False)
        self.front_end.kc = self.kernel.kc

    def run_to(self, number: int) -> None:
        """Run the cells up to this one, so far as they have not run."""
        # Cells left out by -k or --lf, or given to another worker, have to run as well.
        for item in self.items[self.done : number + 1]:
            self.done += 1
            try:
                if not item.skipped:
                    self.run(item.cell)
            except CellUnfinishedError as error:
                item.error = error

    def run(self, cell: nbformat.NotebookNode) -> None:
        """Run one cell; its outputs become what a notebook shows at the end."""
        kernel, front_end = self.kernel, self.front_end
        if not kernel.is_alive():
            raise CellUnfinishedError("not run: the kernel died in a cell above")
        seconds = float(self.config.getini("nbcheck_timeout"))
        deadline, late = time.monotonic() + seconds, ""
        front_end.clear_before_next_output = False
        # With history, as in a notebook: nbval runs without, and so loses `x;`, `_` and Out[1].
        parent = kernel.kc.execute(cell.source, allow_stdin=False, stop_on_error=False)
        while True:
            try:
                message = kernel.get_message("iopub", timeout=1)
                if message["parent_header"].get("msg_id") == parent:
                    front_end.process_message(message, cell, self.nb.cells.index(cell))
            except CellExecutionComplete:
                break
            except Empty:
                if not kernel.is_alive():
                    raise CellUnfinishedError("the kernel died while this cell ran") from None
            if time.monotonic() > deadline and late:
                kernel.stop()
                raise CellUnfinishedError(f"{late}, did not end, and the kernel was stopped")
            if time.monotonic() > deadline:
                late = f"interrupted after the {seconds:g} seconds that a cell may take"
                kernel.interrupt()
                deadline += PATIENCE
        if late:
            raise CellUnfinishedError(late)

    def may_change_later(self, cell: nbformat.NotebookNode) -> bool:
        """Return whether a cell shows something that another cell can update by its display id."""
        index = self.nb.cells.index(cell)
        return any(index in places for places in self.front_end._display_id_map.values())

    def heading(self, cell: nbformat.NotebookNode) -> str:
        """Return the nearest Markdown heading above a cell."""
        above = self.nb.cells[: self.nb.cells.index(cell)]
        text = "\n".join(c.source for c in above if c.cell_type == "markdown")
        return (re.findall(r"^#+ +(.+)", text, re.MULTILINE) or ["no heading"])[-1]

    def keep(self, ending: str, data: bytes) -> None:
        """Write one file to look at."""
        self.kept.parent.mkdir(parents=True, exist_ok=True)
        self.kept.with_name(f"{self.kept.name}{ending}").write_bytes(data)

    def teardown(self) -> None:
        """Stop the kernel; keep the executed notebook if a cell failed."""
        super().teardown()
        if self.failed:
            self.keep(".ipynb", nbformat.writes(self.nb).encode())


class NotebookCell(IPyNbCell):
    """A code cell: runs in nbval's kernel, is held against its record by `compare`."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.error: CellUnfinishedError | None = None
        self.recorded = copy.deepcopy(self.cell)
        self.cell.outputs, self.cell.execution_count = [], None
        tags = self.cell.metadata.get("tags", [])
        self.skipped = not self.parent.rules.strict and "skip-execution" in tags
        self.user_properties += [("varies", tag) for tag in tags if tag.startswith("varies=")]

    def runtest(self) -> None:
        """Run the cell, after those before it, and hold its outputs against the record."""
        if self.skipped:
            pytest.skip("the cell's tag says skip-execution")
        notebook = self.parent
        notebook.run_to(self.cell_num)
        if self.error:
            raise self.error
        differences = check_cell(self.recorded, self.cell.outputs, notebook.rules)
        if differences and notebook.may_change_later(self.cell):
            notebook.run_to(len(notebook.items) - 1)
            differences = check_cell(self.recorded, self.cell.outputs, notebook.rules)
        if differences:
            raise CellDiffersError(differences)

    def repr_failure(self, excinfo: pytest.ExceptionInfo) -> str:
        """Say which cell differs, where, and by how much."""
        notebook, error = self.parent, excinfo.value
        notebook.failed = True
        if isinstance(error, CellDiffersError):
            differences = error.args[0]
        elif isinstance(error, CellUnfinishedError):
            differences = [Difference(str(error))]
        else:
            return super(IPyNbCell, self).repr_failure(excinfo)
        where = f"{notebook.path.name}, cell {self.cell_num}"
        lines = [f"{where}, under “{notebook.heading(self.cell)}”:"]
        for number, difference in enumerate(differences[:3]):
            lines.append(difference.what)
            if difference.expected or difference.got:
                lines += [f"  expected  {difference.expected}", f"  got       {difference.got}"]
            if difference.figures:
                self.keep_figures(f"-cell{self.cell_num}-{number}", *difference.figures)
        if len(differences) > 3:
            lines.append(f"and {len(differences) - 3} more differences")
        folder, path = self.config.getini("nbcheck_folder"), notebook.nodeid
        lines.append(f"Kept for a look: {folder}/{path.removesuffix('.ipynb')}*")
        hint = self.config.getini("nbcheck_hint")
        lines.append(hint.format(name=notebook.path.stem, path=path))
        return "\n".join(lines)

    def keep_figures(self, name: str, expected: bytes, got: bytes) -> None:
        """Keep the expected, the actual and the difference picture."""
        self.parent.keep(f"{name}-expected.png", expected)
        self.parent.keep(f"{name}-actual.png", got)
        old, new = (Image.open(io.BytesIO(png)).convert("RGB") for png in (expected, got))
        if old.size == new.size:
            picture = io.BytesIO()
            ImageOps.autocontrast(ImageChops.difference(old, new)).save(picture, "png")
            self.parent.keep(f"{name}-difference.png", picture.getvalue())


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what may vary, the slowest ten cells, and the total of each notebook."""
    cells: dict[str, float] = {}
    notebooks: defaultdict[str, float] = defaultdict(float)
    varying = []
    for report in itertools.chain.from_iterable(terminalreporter.stats.values()):
        notebook, cell, _ = getattr(report, "nodeid", "").partition(".ipynb::")
        if cell and isinstance(report, pytest.TestReport):
            notebooks[f"{notebook}.ipynb"] += report.duration
            if report.when == "call":
                cells[report.nodeid] = report.duration
                found = [str(tag) for name, tag in report.user_properties if name == "varies"]
                varying += ["  ".join([report.nodeid, *found])] if found else []
    if varying:
        terminalreporter.section(f"cells whose outputs may vary: {len(varying)}", "-")
    for line in varying:
        terminalreporter.line(line)
    slowest = sorted(cells.items(), key=lambda item: -item[1])[:10]
    for title, times in (("slowest cells", slowest), ("notebooks", list(notebooks.items()))):
        if times:
            terminalreporter.section(title, "-")
        for name, seconds in times:
            terminalreporter.line(f"{seconds:7.1f} s  {name}")
