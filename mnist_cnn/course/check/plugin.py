"""nbval, made strict: every recorded output of every code cell is compared (see README.md)."""

import copy
import io
import itertools
import math
import os
import re
import time
from collections import Counter, defaultdict
from queue import Empty
from unittest import mock

import nbformat
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile, NbCellError
from PIL import Image, ImageChops, ImageOps

from mnist_cnn.course.check.compare import Difference, check_cell

OUTPUTS = ("stream", "display_data", "execute_result", "error")
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class CellDiffersError(Exception):
    """A cell's recorded outputs are not those of this run."""


class KernelDiedError(Exception):
    """The process that runs the cells is gone."""


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    """Put our notebook in the place of nbval's."""
    collectors = yield
    return [
        NotebookFile.from_parent(parent, path=file_path) if isinstance(c, IPyNbFile) else c
        for c in collectors
    ]


class NotebookFile(IPyNbFile):
    """A notebook; `nb` is the executed copy, each cell keeps what was recorded."""

    def collect(self):
        """Return the code cells, each with its record set aside."""
        self.items, self.done, self.outputs, self.failed = [], 0, [], False
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

    def setup(self):
        """Start the kernel."""
        self.folder = self.config.rootpath / "build" / "failed"
        for stale in self.folder.glob(f"{self.path.stem}[.-]*"):
            stale.unlink()
        with mock.patch.dict(os.environ):
            # With this variable ipykernel hides what C code writes to stderr: a student sees it.
            os.environ.pop("PYTEST_CURRENT_TEST", None)
            super().setup()
        # nbval reads a cell's messages at its end: a long progress display must not fill the queue.
        queue = self.kernel.kc.iopub_channel.socket
        address = queue.last_endpoint
        queue.disconnect(address)
        queue.rcvhwm = 0
        queue.connect(address)
        self.kernel._ensure_iopub_up()
        self.wait, self.kernel.get_message = self.kernel.get_message, self.wait_while_alive

    def wait_while_alive(self, stream, timeout=None):
        """Wait for a message as nbval does, but not for one of a kernel that has died."""
        deadline = time.monotonic() + (math.inf if timeout is None else timeout)
        while True:
            try:
                return self.wait(stream, min(1, max(0, deadline - time.monotonic())))
            except Empty:
                if not self.kernel.is_alive():
                    raise KernelDiedError("the kernel died while this cell ran") from None
                if time.monotonic() >= deadline:
                    raise

    def get_kernel_message(self, timeout=None, stream="iopub"):
        """Keep each output as it comes: nbval merges streams and so loses their order."""
        message = super().get_kernel_message(timeout, stream)
        while message["msg_type"] == "update_display_data":
            message = super().get_kernel_message(timeout, stream)
        if message["msg_type"] in OUTPUTS:
            self.outputs.append(nbformat.v4.output_from_msg(message))
        return message

    def heading(self, cell):
        """Return the nearest Markdown heading above a cell."""
        above = self.nb.cells[: self.nb.cells.index(cell)]
        text = "\n".join(c.source for c in above if c.cell_type == "markdown")
        return (re.findall(r"^#+ +(.+)", text, re.MULTILINE) or ["no heading"])[-1]

    def keep(self, name, data):
        """Write one file to look at, under build/failed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{self.path.stem}{name}").write_bytes(data)

    def teardown(self):
        """Stop the kernel; keep the executed notebook if a cell failed."""
        super().teardown()
        if self.failed:
            self.keep(".ipynb", nbformat.writes(self.nb).encode())


class NotebookCell(IPyNbCell):
    """A code cell: runs as nbval runs it, is compared by `mnist_cnn.course.check.compare`."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.output_timeout = 60
        self.recorded = copy.deepcopy(self.cell)
        self.cell.outputs, self.cell.execution_count = [], None

    def execute(self):
        """Run the cell and take down its outputs."""
        self.parent.outputs = self.cell.outputs
        self.parent.done = self.cell_num + 1
        self.cell.execution_count = self.cell_num + 1
        super().runtest()

    def runtest(self):
        """Run the cell, after those before it, and hold its outputs against the record."""
        # Cells left out by -k or --lf, or given to another worker, still have to run before.
        for item in self.parent.items[self.parent.done : self.cell_num + 1]:
            item.execute()
        if differences := check_cell(self.recorded, self.cell.outputs):
            raise CellDiffersError(differences)

    def repr_failure(self, excinfo):
        """Say which cell differs, where, and by how much."""
        notebook, error = self.parent, excinfo.value
        notebook.failed = True
        if isinstance(error, CellDiffersError):
            differences = error.args[0]
        else:
            traceback = ANSI.sub("", getattr(error, "inner_traceback", None) or "").splitlines()
            plain = NbCellError | KernelDiedError | RuntimeError
            what = str(error) if isinstance(error, plain) else repr(error)
            differences = [Difference("\n".join([what, *traceback[-7:]]))]
        where = f"{notebook.path.name}, cell {getattr(error, 'cell_num', self.cell_num)}"
        lines = [f"{where}, under “{notebook.heading(self.cell)}”:"]
        for number, difference in enumerate(differences[:3]):
            lines.append(difference.what)
            if difference.expected or difference.got:
                lines += [f"  expected  {difference.expected}", f"  got       {difference.got}"]
            if difference.figures:
                self.keep_figures(f"-cell{self.cell_num}-{number}", *difference.figures)
        if len(differences) > 3:
            lines.append(f"and {len(differences) - 3} more differences")
        lines.append(f"Kept for a look: build/failed/{notebook.path.stem}*")
        lines.append(f"If it is intended: mnist-cnn notebooks --update {notebook.path.stem}")
        return "\n".join(lines)

    def keep_figures(self, name, expected, got):
        """Keep the expected, the actual and the difference picture."""
        self.parent.keep(f"{name}-expected.png", expected)
        self.parent.keep(f"{name}-actual.png", got)
        old, new = (Image.open(io.BytesIO(png)).convert("RGB") for png in (expected, got))
        if old.size == new.size:
            picture = io.BytesIO()
            ImageOps.autocontrast(ImageChops.difference(old, new)).save(picture, "png")
            self.parent.keep(f"{name}-difference.png", picture.getvalue())


def pytest_terminal_summary(terminalreporter):
    """Print the slowest ten notebook cells and the total of each chapter."""
    cells, chapters = Counter(), Counter()
    for report in itertools.chain.from_iterable(terminalreporter.stats.values()):
        notebook, found, _ = getattr(report, "nodeid", "").partition(".ipynb::")
        if found and isinstance(report, pytest.TestReport):
            chapters[f"{notebook}.ipynb"] += report.duration
            if report.when == "call":
                cells[report.nodeid] = report.duration
    for title, times in (("slowest cells", cells.most_common(10)), ("chapters", chapters.items())):
        if times:
            terminalreporter.section(title, "-")
        for name, seconds in times:
            terminalreporter.line(f"{seconds:7.1f} s  {name}")
