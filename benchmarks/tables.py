"""The tables of this folder's README and of TEACHING.md, written from the results.

    python -m benchmarks.tables

Each table stands between two comments that name its result.
"""

import json
import statistics
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mnist_cnn.course import files

FOLDER = Path(__file__).parent
MEASURED = FOLDER.parent / "notebooks" / "measured"
Tables = dict[str, Callable[[], Iterator[list]]]
SMALL_STEPS = {
    "import mnist_cnn": ("0.3 s", "s"),
    "load_mnist()": ("1 s", "s"),
    "predict 10,000 images: predict_scores / model.predict": ("0.4", ""),
    "one image through a loaded model": ("5 ms", "ms"),
}


def read(name: str) -> dict:
    """Return a result."""
    folder = MEASURED if name == "fast" else FOLDER / "results"
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def contest(name: str) -> Iterator[list]:
    """Give the rows of `compare` or `fast`."""
    header = (
        "recipe, runs, epochs, test accuracy, lowest, seconds, CPU seconds, article / this, peak MB"
    )
    yield header.split(", ")
    for row in read(name)["summary"]:
        yield [
            row["name"],
            row["runs"],
            f"{row['epochs']:g}",
            *(f"{row[key]:.4f}" for key in ("accuracy", "lowest_accuracy")),
            *(f"{row[key]:.1f}" for key in ("seconds", "cpu_seconds")),
            f"{row['article_over_this']:.1f}",
            f"{row['peak_mb']:,.0f}",
        ]


def foreign_digits() -> Iterator[list]:
    """Give the rows of `foreign_digits`."""
    yield ["digits", "share read rightly, or unchanged"]
    for name, share in read("foreign_digits")["shares"].items():
        yield [name, f"{share:.4f}"]


def small_steps() -> Iterator[list]:
    """Give the rows of `costs`."""
    yield ["what", "may take", "measured"]
    for name, value in read("costs")["figures"].items():
        limit, unit = SMALL_STEPS[name]
        yield [name, limit, f"{value:.2f} {unit}".strip()]


def _cost(run: dict) -> list[str]:
    return [f"{run[key]:.1f}" for key in ("seconds_an_epoch", "cpu_seconds_an_epoch")]


def growth() -> Iterator[list]:
    """Give cost against the number of images."""
    yield ["held as", "images", "seconds per epoch", "CPU seconds", "peak MB"]
    for run in read("growth")["runs"]:
        if run["batch_size"] == 128:
            peak = run["memory_mb"]["trained"]["peak"]
            yield [run["held"], f"{run['images']:,}", *_cost(run), f"{peak:,}"]


def _prepared() -> list[dict]:
    runs = read("growth")["runs"]
    return [run for run in runs if run["held"] == "floats" and run["images"] == 60_000]


def batch_sizes() -> Iterator[list]:
    """Give cost against the batch size."""
    yield ["batch size", "seconds per epoch", "CPU seconds", "CPU, against 128"]
    key = "cpu_seconds_an_epoch"
    usual = next(run[key] for run in _prepared() if run["batch_size"] == 128)
    for run in sorted(_prepared(), key=lambda run: run["batch_size"]):
        yield [run["batch_size"], *_cost(run), f"{run[key] / usual:.2f}"]


def memory() -> Iterator[list]:
    """Give what a kernel holds, stage by stage."""
    yield ["after", "MB now", "of it mapped files", "MB added"]
    before = 0
    for stage, held in next(r for r in _prepared() if r["batch_size"] == 128)["memory_mb"].items():
        yield [stage, *(f"{mb:,}" for mb in (held["now"], held["mapped"], held["now"] - before))]
        before = held["now"]


def replicas() -> Iterator[list]:
    """Give the losses of one replica and of two."""
    yield ["step", "loss, one replica", "loss, two replicas"]
    losses = [run["losses"] for run in read("growth")["replicas"]]
    for step, pair in enumerate(zip(*losses, strict=True), start=1):
        yield [step, *(f"{loss:.7f}" for loss in pair)]


def exchange() -> Iterator[list]:
    """Give what a step costs a worker alone, and with the exchange of gradients."""
    yield ["images of each worker", "CPU ms a step alone", "with the other worker", "the exchange"]
    for row in read("exchange")["rows"]:
        alone, together = row["alone_cpu_ms"], row["together_cpu_ms"]
        cells = alone, together, together - alone
        yield [row["images_a_worker"], *(f"{cell:.1f}" for cell in cells)]


def hub() -> Iterator[list]:
    """Give what a class needs whose users all run the chapter at once: memory, and CPU time."""
    yield ["users", "memory, GB", *(f"minutes on {cores} cores" for cores in (8, 32))]
    users = read("hub")["users"]
    parts = [user[kind] for user in users for kind in ("server", "kernel")]
    memory, seconds = (sum(part[key] for part in parts) for key in ("pss", "cpu_seconds"))
    for count in (len(users), 30, 300):
        share = count / len(users)
        minutes = (f"{share * seconds / 60 / cores:.1f}" for cores in (8, 32))
        yield [count, f"{share * memory / 1024:.0f}", *minutes]


def many_chapters() -> Iterator[list]:
    """Give the minutes that so many workers need: their share, and never less than the longest."""
    chapters = read("chapters")["chapters"].values()
    spent = [sum(cell["seconds"] for cell in chapter) for chapter in chapters]
    yield ["workers", f"these {len(spent)} chapters, minutes", "100 like them, minutes"]
    for workers in (1, 2, 10, 100):
        shares = [count * statistics.mean(spent) / workers for count in (len(spent), 100)]
        yield [workers, *(f"{max(share, *spent) / 60:.1f}" for share in shares)]


TABLES: Tables = {
    "contest": lambda: contest("compare"),
    "fast": lambda: contest("fast"),
    "foreign digits": foreign_digits,
    "small steps": small_steps,
    "growth": growth,
    "batch sizes": batch_sizes,
    "memory": memory,
    "replicas": replicas,
    "exchange": exchange,
    "many chapters": many_chapters,
}
PAGES: dict[Path, Tables] = {
    FOLDER / "README.md": TABLES,
    FOLDER.parent / "TEACHING.md": {"hub": hub},
}


def markdown(rows: Iterable[list]) -> str:
    """Return rows as a table, the first as its header."""
    header, *rest = [[str(cell) for cell in row] for row in rows]
    rule = ["---", *["--:"] * (len(header) - 1)]
    return "".join(f"| {' | '.join(row)} |\n" for row in (header, rule, *rest))


def written(page: str, tables: Tables) -> str:
    """Return the page with every table made anew."""
    for name, rows in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"the page must have one place for the table {name!r}")
        before, _, rest = page.partition(begin)
        page = before + begin + markdown(rows()) + end + rest.partition(end)[2]
    return page


def main() -> None:
    """Rewrite the pages."""
    for path, tables in PAGES.items():
        page = written(path.read_text(encoding="utf-8"), tables)
        with files.replacing(path) as temporary:
            temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
