"""The promises of README, lock file, environment.yml and CI, and the anatomy of the chapters."""

import ast
import importlib.metadata
import itertools
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mnist_cnn
from mnist_cnn.course.check.compare import MARKER, Tolerance
from mnist_cnn.course.tolerances import table_row
from mnist_cnn.exercises import EXERCISES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"].values()
PINS = [
    pin
    for pin in itertools.chain(PROJECT["dependencies"], *EXTRAS)
    if not pin.startswith("mnist-cnn[")
]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LOCK = [
    Requirement(line)
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    if line.strip() and not line.lstrip().startswith("#")
]


def quick_start():
    part = README.partition("\n## Quick start\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```\w*\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    return blocks[0].splitlines()


def test_the_readmes_two_commands():
    assert quick_start() == [
        "pip install -c requirements.lock -e . && mnist-cnn",
        'pip install -c requirements.lock -e ".[test]" && pytest',
    ]


@pytest.mark.parametrize(
    "page",
    [
        *("README.md", "INSTALL.md", "TEACHING.md", "CONTRIBUTING.md", "tests/README.md"),
        *("benchmarks/README.md", "mnist_cnn/assets/README.md", "mnist_cnn/course/check/README.md"),
    ],
)
def test_links_and_pictures_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#:]+)\)", text)
    assert [t for t in targets if not (ROOT / page).parent.joinpath(t).exists()] == []


def test_the_readme_lists_every_chapter():
    listed = re.findall(r"^\| \[.*?\]\((notebooks/.*?\.ipynb)\)", README, re.MULTILINE)
    assert listed == [path.relative_to(ROOT).as_posix() for path in CHAPTERS]


@pytest.mark.skipif(os.name == "nt", reason="bash is not part of Windows")
@pytest.mark.parametrize("outcome", ["true", "false"])
def test_ci_runs_the_readmes_second_command(tmp_path, outcome):
    """Run the real script, every program a stub, on a README whose command leaves a trace."""
    style = ["ruff check", "ruff format --check", "mypy"]
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    venv = f'mkdir -p "$3/bin" && cp {stubs}/* "$3/bin" && echo "PATH=$3/bin:$PATH"'
    venv += ' > "$3/bin/activate"'
    scripts = {
        "pip": "",
        "python": "",
        "chromium": "",
        "ruff": 'echo ruff "$@" >> ran',
        "mypy": "echo mypy >> ran",
    }
    for name, script in (scripts | {"python3.11": f'[ "$2" != venv ] || {{ {venv}; }}'}).items():
        (stubs / name).write_text(f"#!/bin/sh\n{script}\n")
        (stubs / name).chmod(0o755)
    block = f"```\nexit 9\necho it >> ran && {outcome}\n```\n"
    text = f"# T\n\n```\nexit 8\nexit 8\n```\n\n## Quick start\n\n{block}\n## More\n\n{block}"
    (tmp_path / "README.md").write_text(text)
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "run").write_bytes((ROOT / ".ci" / "run").read_bytes())
    path = f"{stubs}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        ["bash", ".ci/run"],
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
    )
    ran = (tmp_path / "ran").read_text().splitlines()
    if outcome == "true":
        assert (run.returncode, ran) == (0, [*style, "it"]), run.stderr
    else:
        assert (run.returncode, ran) == (1, [*style, "it"])
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_workflow_calls_the_same_script():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = {name: job["steps"] for name, job in workflow["jobs"].items()}
    assert any(step.get("run") == ".ci/run" for step in steps["test"])
    for job in steps.values():
        tests = any(re.search(r"(^|&& )pytest\b|^\.ci/run", step.get("run", "")) for step in job)
        kept = any(step.get("with", {}).get("path") == "build/failed/" for step in job)
        assert kept == tests or any("unshare" in step.get("run", "") for step in job)


@pytest.mark.skipif(os.name == "nt", reason="bash is not part of Windows")
def test_the_workflow_has_a_job_for_each_chapter(tmp_path):
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    matrix = jobs["chapter"]["strategy"]["matrix"]
    assert matrix == {"name": "${{ fromJSON(needs.chapters.outputs.names) }}"}
    (find,) = [step["run"] for step in jobs["chapters"]["steps"] if step.get("id") == "find"]
    environment = os.environ | {"GITHUB_OUTPUT": str(tmp_path / "output")}
    subprocess.run(["bash", "-e", "-c", find], cwd=ROOT, env=environment, check=True)
    names = json.loads((tmp_path / "output").read_text().removeprefix("names="))
    assert names == [path.name for path in CHAPTERS]


def test_environment_yml_installs_the_project_at_the_locked_versions():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["name"] == PROJECT["name"]
    *conda, pip = environment["dependencies"]
    assert conda == ["python=3.11", "pip"]
    assert pip["pip"] == ["-c requirements.lock", "-e .[test]"]


def test_the_lock_pins_exactly_and_names_no_place():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"https?://|file:|^--|@ |/\w+/", text, re.MULTILINE)
    for requirement in LOCK:
        assert not requirement.extras, "pip refuses extras in constraints"
        assert [s.operator for s in requirement.specifier] == ["=="], str(requirement)


@pytest.mark.parametrize("pin", PINS)
def test_the_lock_satisfies_the_projects_pins(pin):
    pin = Requirement(pin)
    locked = [r for r in LOCK if canonicalize_name(r.name) == canonicalize_name(pin.name)]
    versions = [next(iter(r.specifier)).version for r in locked]
    assert versions and all(pin.specifier.contains(version) for version in versions)


def test_the_lock_holds_every_transitive_dependency():
    locked = {
        canonicalize_name(r.name): next(iter(r.specifier)).version
        for r in LOCK
        if r.marker is None or r.marker.evaluate()
    }
    todo, seen = [Requirement(f"{PROJECT['name']}[test]")], set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if (name, *requirement.extras) in seen:
            continue
        seen.add((name, *requirement.extras))
        distribution = importlib.metadata.distribution(name)
        if name != PROJECT["name"]:
            assert name in locked, f"{name} is not in requirements.lock"
            if distribution.version != locked[name]:
                pytest.skip(f"not installed by the lock file: {name} {distribution.version}")
        for line in distribution.requires or ():
            needed = Requirement(line)
            extras = requirement.extras or {""}
            if not needed.marker or any(needed.marker.evaluate({"extra": e}) for e in extras):
                todo.append(needed)
    assert len(seen) > 80


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == mnist_cnn.__version__
    assert " AND ".join(citation["license"]) == PROJECT["license"]


def imports_of(folder):
    """Return the distributions of what the Python files of a folder import."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / folder).rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    packages = importlib.metadata.packages_distributions()
    tops = {name.partition(".")[0] for name in found} - sys.stdlib_module_names
    return {canonicalize_name(packages[top][0]) for top in tops if top in packages}


@pytest.mark.parametrize("folder", ["mnist_cnn", "tests", "benchmarks"])
def test_every_import_is_declared(folder):
    extras = PROJECT["optional-dependencies"]
    declared = [*PROJECT["dependencies"], *itertools.chain(*extras.values())]
    names = {canonicalize_name(Requirement(line).name) for line in declared}
    found = imports_of(folder)
    assert len(found) > 5
    assert found <= names, found - names


FLOW = "runtime language data preprocess augmentation model recipes progress training evaluation"
FLOW += " networks pictures plots canvas answers exercises"


def test_no_lesson_module_imports_one_further_down_the_flow_or_the_workshop():
    order = FLOW.split()
    modules = {path.stem for path in (ROOT / "mnist_cnn").glob("*.py")}
    assert modules == {*order, "__init__", "__main__"}
    for place, name in enumerate(order):
        text = (ROOT / "mnist_cnn" / f"{name}.py").read_text(encoding="utf-8")
        imported = set(re.findall(r"from mnist_cnn\.(\w+)", text))
        for names in re.findall(r"from mnist_cnn import (.+)", text):
            imported |= set(names.split(", "))
        assert imported <= set(order[:place]), f"{name} imports {imported}"


def test_no_lesson_imports_the_workshop(chapter):
    _, cells = chapter
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    assert "mnist_cnn.course" not in code


def test_the_checker_imports_nothing_but_itself():
    for path in (ROOT / "mnist_cnn" / "course" / "check").glob("*.py"):
        imported = re.findall(r"(?:from|import) (mnist_cnn\S*)", path.read_text(encoding="utf-8"))
        assert all(name.startswith("mnist_cnn.course.check") for name in imported), path


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request):
    notebook = nbformat.read(request.param, as_version=4)
    nbformat.validate(notebook)
    return request.param, notebook.cells


def test_a_chapters_anatomy(chapter):
    path, cells = chapter
    prose = [cell.source for cell in cells if cell.cell_type == "markdown"]
    text = "\n\n".join(prose)
    number = path.stem[:2]
    assert re.match(rf"# {number} · \S", cells[0].source)
    places = [
        text.index(part)
        for part in (
            "**You will learn**",
            "**You need**",
            "**Time**",
            "> **Predict.**",
            "\n## Exercises\n",
            "\n## What you now know\n",
        )
    ]
    assert places == sorted(places)
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1
    links = re.findall(r"\]\(([^)#:]+\.ipynb)\)", text)
    assert all((path.parent / link).exists() or link > path.name for link in links), links
    neighbours = {p.name for p in CHAPTERS if abs(int(p.stem[:2]) - int(number)) == 1}
    assert neighbours <= set(links)


def exercise_section(cells):
    """Return the slice of the cells from `## Exercises` to before `## What you now know`."""
    starts = [
        next(i for i, cell in enumerate(cells) if cell.source.startswith(heading))
        for heading in ("## Exercises\n", "## What you now know\n")
    ]
    return slice(*starts)


def test_a_chapter_is_short_enough(chapter):
    _, cells = chapter
    section = exercise_section(cells)
    lesson, summary = cells[: section.start], cells[section.stop :]
    prose = [cell.source for cell in lesson + summary if cell.cell_type == "markdown"]
    words = len(" ".join(prose).split())
    longest = max(cell.source.count("\n") + 1 for cell in cells if cell.cell_type == "code")
    assert len(lesson) <= 48 and words <= 2_600 and longest <= 20


def test_each_exercise_is_followed_by_its_folded_solution(chapter):
    path, cells = chapter
    section = exercise_section(cells)
    tags = [{"exercise", "solution"} & set(cell.metadata.get("tags", [])) for cell in cells]
    exercises = [i for i, tag in enumerate(tags) if tag == {"exercise"}]
    solutions = [i for i, tag in enumerate(tags) if tag == {"solution"}]
    assert 3 <= len(exercises) <= 5
    for number, i in enumerate(exercises, start=1):
        assert section.start < i < section.stop - 1
        key = f"{path.stem[:2]}.{number}"
        question, exercise, heading, solution = cells[i - 1 : i + 3]
        assert {i + 1, i + 2} <= set(solutions)
        assert re.match(rf"### {re.escape(key)} · \S", question.source)
        assert exercise.source == f'answer = ...\n\ncheck("{key}", answer)'
        assert heading.source == "#### Solution"
        assert heading.metadata["jp-MarkdownHeadingCollapsed"], "JupyterLab shows it opened"
        assert solution.source.endswith(f'\n\ncheck("{key}", answer)')
        assert exercise.outputs[0].text.startswith(f"{key}: not answered yet")
        assert f"{key}: correct" in solution.outputs[-1].text


def test_every_exercise_that_can_be_checked_is_asked():
    asked = [
        cell.source
        for path in CHAPTERS
        for cell in nbformat.read(path, as_version=4).cells
        if "exercise" in cell.metadata.get("tags", [])
    ]
    assert re.findall(r'check\("(.*?)"', "\n".join(asked)) == list(EXERCISES)


def test_a_chapter_is_recorded_from_top_to_bottom(chapter):
    _, cells = chapter
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert len({cell.id for cell in cells}) == len(cells)
    for cell in code:
        Tolerance.from_tags(cell.metadata.get("tags", []))
        assert not MARKER.search(cell.source)
        for output in cell.outputs:
            assert output.output_type != "error" and output.get("name") != "stderr", cell.source
    shown = "\n".join(
        str(output.get("text") or output.data.get("text/plain"))
        for cell in code
        for output in cell.outputs
    )
    assert not re.search(r"/(home|root|tmp|Users)/|\w:\\|Traceback| object at 0x", shown)


TOLERANCES = json.loads((ROOT / "tests" / "tolerances.json").read_text(encoding="utf-8"))


def test_every_tolerance_is_measured_with_a_margin_of_at_most_two(chapter):
    path, cells = chapter
    code = [cell for cell in cells if cell.cell_type == "code"]
    tags = [
        (number, tag)
        for number, cell in enumerate(code)
        for tag in cell.metadata.get("tags", [])
        if tag.startswith("approx-")
    ]
    rows = [row for row in TOLERANCES if row["chapter"] == path.stem]
    assert [(row["cell"], row["tag"]) for row in rows] == tags
    for row in rows:
        tolerance = float(row["tag"].partition("=")[2])
        assert row["spread"] <= tolerance
        # A vector figure is measured in points: what is less than a line's width nobody sees.
        vector = any("image/svg+xml" in o.get("data", {}) for o in code[row["cell"]].outputs)
        assert tolerance <= 2 * row["spread"] or (vector and tolerance <= 1), row


def test_the_page_shows_the_widest_five_tolerances():
    widest = sorted(TOLERANCES, key=lambda row: -row["spread"])[:5]
    page = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
    assert "\n".join(map(table_row, widest)) in page


def test_few_cells_have_a_tolerance():
    assert len({(row["chapter"], row["cell"]) for row in TOLERANCES}) <= 15
