"""The kit for a room without internet."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from mnist_cnn.course import cli, kit, slides

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("platform", "has", "has_not"),
    [
        ("windows", ["colorama", "pywinpty"], ["pexpect", "appnope"]),
        ("macos", ["pexpect", "appnope"], ["colorama", "pywinpty"]),
        ("linux", ["pexpect"], ["appnope", "colorama", "pywinpty"]),
    ],
)
def test_the_pins_are_those_of_the_platform(platform, has, has_not):
    pins = kit.pins(LOCK, platform, "3.12")
    names = [pin.partition("==")[0] for pin in pins]
    assert {"tensorflow", "jupyterlab", *has} <= set(names)
    assert not set(has_not) & set(names)
    assert len(names) == len(set(names))
    assert all("==" in pin and ";" not in pin for pin in pins)


def test_the_pins_are_those_of_the_python():
    lock = "a==1 ; python_full_version < '3.12'\na==2 ; python_full_version >= '3.12'\n# b==1\n"
    assert kit.pins(lock, "linux", "3.11") == ["a==1"]
    assert kit.pins(lock, "linux", "3.13") == ["a==2"]


def test_the_folder(tmp_path, monkeypatch, capsys):
    calls = []
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(kit, "_python", lambda *call: calls.append([*map(str, call)]))
    monkeypatch.setattr(slides, "write", lambda path, out: None)
    call = ["kit", str(tmp_path / "kit"), "--platform", "windows", "macos", "--python", "3.12"]
    assert cli.main(call) == 0
    assert [call[1] for call in calls] == ["wheel", "download", "download"]
    for download, tag in zip(calls[1:], ("win_amd64", "macosx_12_0_arm64"), strict=True):
        assert download[download.index("--platform") + 1] == tag
        assert download[download.index("--python-version") + 1] == "3.12"
    assert "07_inside_the_network.html" in (tmp_path / "kit" / "slides" / "index.html").read_text()
    text = (tmp_path / "kit" / "INSTALL.txt").read_bytes().decode()
    assert "py -3.12 -m venv" in text and "windows, macos" in text and "{" not in text
    copied = {path.name for path in (tmp_path / "kit" / "notebooks").glob("*.ipynb")}
    assert copied == {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    lessons = "".join(path.read_text() for path in (tmp_path / "kit").rglob("*.ipynb"))
    assert '"solution"' not in lessons
    assert "INSTALL.txt" in capsys.readouterr().out


def test_bad_input_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["kit", "out"]) == 2
    assert "requirements.lock" in capsys.readouterr().err
    monkeypatch.setattr(subprocess, "run", lambda call: subprocess.CompletedProcess(call, 1))
    with pytest.raises(RuntimeError, match="pip download failed"):
        kit._python("pip", "download", "nothing")


@pytest.mark.skipif("MNIST_CNN_KIT" not in os.environ, reason="MNIST_CNN_KIT names no kit's folder")
def test_a_kit_installs_without_a_network(tmp_path):
    """Needs a kit for this machine: mnist-cnn kit OUT, then MNIST_CNN_KIT=OUT pytest …."""
    folder = Path(os.environ["MNIST_CNN_KIT"])
    venv.create(tmp_path / "venv", with_pip=True)
    bin = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    environment = {name: value for name, value in os.environ.items() if name[:4] != "PIP_"}
    environment |= {"PIP_CONFIG_FILE": os.devnull}
    install = ["-m", "pip", "install", "--no-index", "--find-links", "wheels", "mnist-cnn"]
    calls = [[bin / "python", *install], [bin / "mnist-cnn", "info"]]
    calls += [[bin / "mnist-cnn", "notebooks", "01"]]
    apart = ["unshare", "--net", "--map-root-user"] if sys.platform == "linux" else []
    for call in calls[:2]:
        subprocess.run([*apart, *call], cwd=folder, env=environment, check=True)
    subprocess.run(calls[2], cwd=folder, env=environment, check=True)
