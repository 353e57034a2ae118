"""Chinese letters for machines that have none: Noto Sans SC, as far as texts need it.

The file holds the 6,763 characters of GB 2312, and whatever else the translations use; the
browser makes them bold. The licence, the SIL Open Font License 1.1, stands in the font itself, and
so in each part of it.
"""

import io
import re
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

from mnist_cnn.course import translations
from mnist_cnn.course.files import download_wheel, replacing
from mnist_cnn.language import FOLDER

FILE = Path(__file__).parent / "assets" / "site" / "static" / "noto-sans-sc.woff"
WHEEL = "mplfonts-0.0.11-py3-none-any.whl"
DIGEST = "b5e05ba7fd9a59cae48d1db41f657f50e6765e6f04b8d78504438b93a66b6e13"
FONT = "mplfonts/fonts/NotoSansCJKsc-Regular.otf"


def part(text: str) -> bytes:
    """Return the font, as WOFF, with just the characters of a text; nothing if none is Chinese."""
    return _subset(FILE, text) if re.search("[\u4e00-\u9fff]", text) else b""


def characters() -> set[str]:
    """Return the characters of the translations that no Latin font has."""
    texts = [str(m.string) for file in FOLDER.glob("*/*.po") for m in translations.read(file)]
    return {c for c in "".join(texts) if "\u3000" <= c <= "\u9fff" or "\uff00" <= c <= "\uffef"}


def _subset(font: Path | io.BytesIO, text: Iterable[str]) -> bytes:
    options = Options(layout_features=[], hinting=False, name_IDs=[0, 1, 2, 4, 6, 13, 14])
    options.drop_tables += ["BASE", "GPOS", "GSUB", "VORG", "vhea", "vmtx"]
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=map(ord, text))
    with TTFont(font, recalcBBoxes=False, recalcTimestamp=False) as opened, io.BytesIO() as file:
        subsetter.subset(opened)
        opened.flavor = "woff"
        opened.save(file)
        return file.getvalue()


def renew(wheels: Path) -> None:
    """Make the file anew from the wheel that carries the font; errors: as `download_wheel`."""
    wheel = download_wheel(WHEEL, DIGEST, wheels)
    usual = b"".join(bytes([row, cell]) for row in range(0xB0, 0xF8) for cell in range(0xA1, 0xFF))
    with zipfile.ZipFile(wheel) as archive:
        font = io.BytesIO(archive.read(FONT))
    with replacing(FILE) as temporary:
        temporary.write_bytes(_subset(font, characters().union(usual.decode("gb2312", "ignore"))))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as downloads:
        renew(Path(downloads))
