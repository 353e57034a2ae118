"""The Chinese edition: complete, sound, never older than its English, and otherwise the same."""

import contextlib
import copy
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from fontTools.ttLib import TTFont
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mnist_cnn import language
from mnist_cnn.course import chinese, cli, editions, fonts, grading, notebooks, slides, translations
from mnist_cnn.exercises import EXERCISES, check, is_right

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = [Path(name).stem for name in translations.PAGES]
NAMES = [*(path.stem for path in CHAPTERS), *PAGES, *translations.SENTENCES]
ZH = language.FOLDER / "zh"


@pytest.fixture(scope="module")
def sources():
    found = translations.sources(ROOT)
    assert list(found) == NAMES
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_text_is_translated(name, sources):
    made = {m.id: m for m in translations.read(ZH / f"{name}.po")}
    units = [unit for unit in sources[name] if unit not in made or not language.is_done(made[unit])]
    assert [unit[:70] for unit in units] == [], f"to translate in {name}.po"


@pytest.mark.parametrize("name", NAMES)
def test_a_machine_finds_nothing_wrong(name):
    terms = chinese.glossary("zh")
    assert [
        f"{name}.po: {m.id[:50]!r}: {fault}"
        for m in translations.read(ZH / f"{name}.po")
        if m.id and language.is_done(m)
        for fault in chinese.faults(m.id, m.string) + chinese.strange_terms(m.id, m.string, terms)
    ] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_up_to_date(name, sources, tmp_path):
    """In the order of the source, with nothing that went."""
    copied = Path(shutil.copy(ZH / f"{name}.po", tmp_path))
    translations.update(copied, sources[name], "zh")
    assert copied.read_text(encoding="utf-8") == (ZH / f"{name}.po").read_text(encoding="utf-8")


def test_the_chinese_readme_is_the_translation():
    text = (ROOT / "README.zh.md").read_text(encoding="utf-8")
    assert text == translations.readme(ROOT, "zh")
    assert text.startswith("[English](README.md)")
    assert (ROOT / "README.md").read_text(encoding="utf-8").startswith(translations.README)


SOURCE = "## Ink\n\nIts `ink` is **255** of $2^8$ levels, see [05](05_evaluation.ipynb)."
RIGHT = "## 墨迹\n\n`ink` 取 $2^8$ 级中的 **255**，见 [05](05_evaluation.ipynb)。"
PLANTED = [
    (RIGHT.replace("## ", ""), "structure"),
    (RIGHT.replace("`ink`", "`tinte`"), "code_inline"),
    (RIGHT.replace("2^8", "2^7"), "math_inline"),
    (RIGHT.replace("05_eval", "04_eval"), "link"),
    (RIGHT.replace("255", "256"), "number"),
    (RIGHT.replace("255**", "255** 是 7"), "number"),
    (RIGHT + "看 <b>这里</b>。", "tag"),
    (RIGHT + "{file}。", "placeholder"),
    (RIGHT + "The ink is what stands out from paper.", "English left over"),
    (RIGHT + "**“墨迹”**就是它。", "broken emphasis"),
    (RIGHT + "MNIST的墨迹。", "no space between Chinese and Latin"),
    (RIGHT + "墨迹, 纸。", "half-width punctuation"),
    (RIGHT + " （纸）", "space beside full-width punctuation"),
    (RIGHT + "\n墨迹。", "line break within a paragraph"),
    (RIGHT + "您看。", "formal address"),
]


def test_a_sound_translation_has_no_fault():
    assert chinese.faults(SOURCE, RIGHT) == []
    assert chinese.faults("Two of 1.3 million, 70,000.", "130 万里的 2 个，70,000。") == []
    assert chinese.faults("*A b c d e f g*, (2, 3).", "*A b c d e f g*，形状 (2, 3)。") == []
    # Some sentences of the code, whose parts have names.
    assert chinese.faults("{one.count} of {map}", "{map} 的 {one.count}") == []
    assert (
        chinese.faults("{file}: {share:.1%} of {most:,}", "{file}：{most:,} 的 {share:.1%}") == []
    )


def test_marked_texts_are_translated_in_their_place(tmp_path):
    script = "say(`⟦Map ${map}\n  of ${one.count}⟧`, { map: `${map}` });"
    expected = "say(`${one.count} 张里的 ${map}`, { map: `${map}` });"
    change = {"Map {map} of {one.count}": "{one.count} 张里的 {map}"}
    assert translations.unmarked(script, change.get) == expected
    (tmp_path / "page.js").write_text(script + "/* ⟦×⟧ no text */", encoding="utf-8")
    assert translations.units(tmp_path / "page.js") == [*change]


@pytest.mark.parametrize(("translation", "fault"), PLANTED, ids=[fault for _, fault in PLANTED])
def test_a_planted_fault_is_found(translation, fault):
    assert {found.partition(":")[0] for found in chinese.faults(SOURCE, translation)} == {fault}


@pytest.mark.parametrize(
    ("source", "translation", "faults"),
    [
        ("Two kernels.", "两个卷积核。", []),
        ("A KERNEL, and batches.", "一个卷积核，分批。", []),
        ("Two kernels.", "两个核。", ["term: 卷积核 is missing"]),
        ("A *Kernel* is *Our kernel*.", "*Our kernel* 是 *核*。", ["term: 卷积核 is missing"]),
        ("`kernel` and colonels.", "`kernel` 和上校。", []),
        ("It over-fits.", "过度拟合，过拟合。", ["term: 过度拟合 stands"]),
    ],
)
def test_the_glossary(source, translation, faults, tmp_path, monkeypatch):
    lines = (
        "English,Chinese,never",
        "batch(?:es)?,批,",
        "kernel,卷积核,",
        "over-?fit,过拟合,过度拟合|过适",
    )
    (tmp_path / "zh").mkdir()
    (tmp_path / "zh" / "glossary.csv").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setattr(chinese, "FOLDER", tmp_path)
    assert chinese.strange_terms(source, translation, chinese.glossary("zh")) == faults


@pytest.fixture
def lesson():
    """A chapter with a text of every kind."""
    figure = new_output("display_data", {"image/png": "x"}, metadata={"image/png": {"alt": "Alt"}})
    shown = {"slideshow": {"slide_type": "slide", "slide": "Slide", "notes": "Notes"}}
    cells = [
        new_markdown_cell("# Title", metadata=shown),
        new_code_cell(
            "draw()  # Title",
            outputs=[figure],
            metadata={"alt": ["Alt one", "Alt"], "slideshow": {"slide": "output"}},
        ),
        new_markdown_cell("#### Solution", metadata={"tags": ["solution"]}),
    ]
    return new_notebook(cells=cells)


WORDS = {
    "# Title": "# 题目",
    "Slide": "幻灯片",
    "Notes": "备注",
    "Alt": "图",
    "Alt one": "图一",
    "#### Solution": "#### 参考答案",
    "For the instructor": "给老师",
}


@pytest.fixture
def translated(tmp_path, monkeypatch):
    """A folder with one language, in which each text of the lesson has a translation."""
    folder = tmp_path / "translations" / "zh"
    folder.mkdir(parents=True)
    for module in (language, translations, chinese):
        monkeypatch.setattr(module, "FOLDER", folder.parent)
    shutil.copy(ZH / "glossary.csv", folder)

    def write(words=WORDS, name="01_lesson"):
        catalog = translations.Catalog()
        for english, text in words.items():
            catalog.add(english, text)
        with (folder / f"{name}.po").open("wb") as stream:
            translations.pofile.write_po(stream, catalog)
        language._texts.cache_clear()

    write()
    return write


def test_every_text_of_a_chapter_is_translated_and_nothing_else(lesson, translated):
    source = copy.deepcopy(lesson)
    chapter = translations.translate(lesson, language.translator("zh", "01_lesson"))
    assert lesson == source
    title, code, heading = chapter.cells
    assert (title.source, heading.source) == ("# 题目", "#### 参考答案")
    show = title.metadata.slideshow
    assert (show.slide_type, show.slide, show.notes) == ("slide", "幻灯片", "备注")
    assert code.metadata == {"alt": ["图一", "图"], "slideshow": {"slide": "output"}}
    assert code.outputs[0].metadata == {"image/png": {"alt": "图"}}
    assert (code.source, code.outputs[0].data) == ("draw()  # Title", {"image/png": "x"})


def test_editions_and_slides_are_written_in_chinese(lesson, translated, tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").touch()
    lesson.cells[1].metadata.slideshow.slide = "Slide"
    nbformat.write(lesson, tmp_path / "notebooks" / "01_lesson.ipynb")
    monkeypatch.chdir(tmp_path)
    translated({"For the instructor": "给老师"}, "course")
    for edition in ("student", "instructor"):
        assert cli.main(["edition", edition, edition, "--language", "zh"]) == 0
    student, instructor = (
        [cell.source for cell in nbformat.read(tmp_path / name / "01_lesson.ipynb", 4).cells]
        for name in ("student", "instructor")
    )
    assert student == ["# 题目", "draw()  # Title"]
    assert [instructor[0], *instructor[2:]] == ["# 题目", *student[1:], "#### 参考答案"]
    assert "<summary>给老师</summary>\n\n备注" in instructor[1]
    # The command speaks Chinese where the environment says so, and works in it without an option.
    monkeypatch.setenv(language.VARIABLE, "zh")
    assert cli.main(["slides", "01", "--out", "decks"]) == 0
    deck = (tmp_path / "decks" / "01_lesson.html").read_text(encoding="utf-8")
    assert '<html lang="zh-CN">' in deck and "幻灯片" in deck and "Noto Sans SC" in deck
    nbgrader = grading.nbgrader(lesson, language.translator("zh", "01_lesson"))
    assert nbgrader.cells[0].source == "# 题目"


def test_changed_english_makes_a_text_stale_and_shows_as_english(translated, tmp_path, lesson):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    lesson.cells[0].source = "# Titles"
    nbformat.write(lesson, folder / "01_lesson.ipynb")
    file = language.FOLDER / "zh" / "01_lesson.po"

    def first_cell():
        language._texts.cache_clear()
        (path,) = editions.write("student", folder, tmp_path / "out", language="zh")
        return nbformat.read(path, as_version=4).cells[0].source

    assert first_cell() == "# Titles"
    units = translations.units(folder / "01_lesson.ipynb")
    assert translations.update(file, units, "zh") == ["# Titles"]
    (message,) = [m for m in translations.read(file) if m.fuzzy]
    assert (message.id, message.string) == ("# Titles", "# 题目")  # a beginning for who mends it
    assert "#~" not in file.read_text(encoding="utf-8")
    assert first_cell() == "# Titles"


def test_outside_a_clone_there_is_nothing_to_translate(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["translations", "--update"]) == 2
    assert "is not the project's source: call this in a clone of it" in capsys.readouterr().err


def test_the_command_says_what_is_to_do(translated, tmp_path, lesson, monkeypatch, capsys):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").touch()
    for name in translations.PAGES:
        (tmp_path / name).write_text("# A page\n\n## Alt\n")
    lesson.cells[0].source = "# Titles of 5"
    lesson.cells[2].source = "More"
    nbformat.write(lesson, tmp_path / "notebooks" / "01_lesson.ipynb")
    monkeypatch.chdir(tmp_path)
    translated(WORDS | {"Alt": "第 7 幅图"})
    assert cli.main(["translations"]) == 2
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == [
        "zh/01_lesson.po: 2 missing",
        "zh/01_lesson.po: 'Alt': number: nothing went, '7' came",
        "zh/README.po: 2 missing",
    ]
    assert said[-1] == ("zh/README.zh.md: not as its translation: mnist-cnn translations --update")
    assert cli.main(["translations", "--update"]) == 2
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == [
        "zh/01_lesson.po: 1 missing",
        "zh/01_lesson.po: 1 fuzzy: their English changed",
    ]
    assert not any("README.zh.md" in line for line in said)
    assert "# A page\n\n## Alt\n" in (tmp_path / "README.zh.md").read_text(encoding="utf-8")


def test_an_unknown_language_is_refused_in_a_sentence(monkeypatch, tmp_path, capsys):
    with pytest.raises(ValueError, match=r"language must be one of 'en', 'zh', not 'xx'"):
        next(editions.write("student", ROOT / "notebooks", tmp_path / "new", language="xx"))
    assert not (tmp_path / "new").exists()
    with pytest.raises(SystemExit):
        cli.main(["slides", "--language", "xx"])
    assert re.search("invalid choice: 'xx' .*en.*zh", capsys.readouterr().err)
    monkeypatch.setenv(language.VARIABLE, "xx")
    sentence = "MNIST_CNN_LANGUAGE must be one of 'en', 'zh', not 'xx'"
    with pytest.raises(ValueError, match=sentence):
        check("06.1", 7)
    assert cli.main(["info"]) == 2
    assert capsys.readouterr().err == f"mnist-cnn: {sentence}\n"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_chinese_chapter_is_the_source_but_for_its_texts(path):
    source = nbformat.read(path, as_version=4)
    chapter = translations.translate(source, language.translator("zh", path.stem, "course"))
    nbformat.validate(chapter)
    nbformat.validate(editions.student(source, language.translator("zh", path.stem)))
    assert [cell.id for cell in chapter.cells] == [cell.id for cell in source.cells]
    for cell, original in zip(chapter.cells, source.cells, strict=True):
        assert cell.metadata.keys() == original.metadata.keys()
        if cell.cell_type == "code":
            assert cell.source == original.source
            for output, recorded in zip(cell.outputs, original.outputs, strict=True):
                assert output | {"metadata": {}} == recorded | {"metadata": {}}


def said(exercise, answer):
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        check(exercise, answer)
    return stdout.getvalue()


HAN = re.compile("[\u4e00-\u9fff]")


def test_check_speaks_chinese(monkeypatch):
    english = [said("06.1", answer) for answer in (..., None, 7, 5, -1, "7", np.ones(2))]
    assert english[2].startswith("06.1: correct. The 0.18 of epoch 5")
    monkeypatch.setenv(language.VARIABLE, "zh")
    for answer, before in zip((..., None, 7, 5, -1, "7", np.ones(2)), english, strict=True):
        verdict = said("06.1", answer)
        assert verdict.startswith("06.1: ") and verdict.count("\n") == 1
        assert HAN.search(verdict) and not re.search("[a-z]{3} [a-z]{3}", verdict), before
    assert is_right("06.1", 7) and not is_right("06.1", 5)
    hint = next(hint for wrong, hint in EXERCISES["06.1"].hints if wrong == 5)
    assert language.translated(hint) in said("06.1", 5)
    assert "(1,)" in said("06.1", np.ones(1))


def test_the_command_speaks_chinese(tmp_path):
    picture = ROOT / "tests" / "pictures"
    file = next(path for path in sorted(picture.iterdir()) if path.suffix in (".png", ".jpg"))
    (tmp_path / "text.png").write_text("no picture")
    done = subprocess.run(
        [sys.executable, "-m", "mnist_cnn", "predict", file, tmp_path / "text.png"],
        env=os.environ | {language.VARIABLE: "zh"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 2
    assert HAN.search(done.stdout) and HAN.search(done.stderr)


FEW = """from mnist_cnn import data
(images, labels), test = data.load_mnist()
data.load_mnist = lambda: ((images[:6000], labels[:6000]), test)"""


def test_the_chinese_student_edition_runs(tmp_path, monkeypatch):
    """A chapter on a tenth of its digits, from top to bottom; its `check` answers in Chinese."""
    monkeypatch.setenv(language.VARIABLE, "zh")
    first, *_ = editions.write("student", ROOT / "notebooks", tmp_path, strip=True, language="zh")
    chapter = nbformat.read(first, as_version=4)
    chapter.cells.insert(0, new_code_cell(FEW))
    nbformat.write(chapter, first)
    executed = notebooks.execute(first)
    assert all(cell.execution_count for cell in notebooks.code_cells(executed))
    text = language.translated("not answered yet. Put your answer in the place of the three dots.")
    verdicts = [
        output.text
        for cell in notebooks.code_cells(executed)
        if "exercise" in cell.metadata.get("tags", [])
        for output in cell.outputs
    ]
    assert verdicts == [f"01.{number}: {text}\n" for number in range(1, len(verdicts) + 1)] != []
    assert HAN.search(text)


def test_the_font_has_every_character():
    with TTFont(fonts.FILE) as font:
        known = set(map(chr, font.getBestCmap()))
    assert fonts.characters() - known == set(), "python -m mnist_cnn.course.fonts"
    assert fonts.FILE.stat().st_size < 1_500_000


def test_a_part_of_the_font_has_the_characters_of_a_text_and_its_licence():
    with TTFont(io.BytesIO(fonts.part("卷积核，abc"))) as font:
        assert set(map(chr, font.getBestCmap())) == set("卷积核，")
        assert "SIL Open Font License" in font["name"].getDebugName(13)
    assert fonts.part("no “Chinese” …") == b""


def test_english_slides_hold_no_chinese_font():
    style = "".join(slides._fonts(slides.libraries(), fonts.part("A deck")))
    assert "Source Sans Pro" in style and "Noto Sans SC" not in style
