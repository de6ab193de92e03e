"""What several test modules share: the folder of real data, and a way to write a workspace from its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

WriteWorkspace = Callable[[Path, Mapping[str, str | bytes]], Path]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the project; it is read where it lies and never copied."""
    if not SHARED_DATA.is_dir():
        pytest.skip("real data are not here: ../shared/data beside the project is missing")
    return SHARED_DATA


@pytest.fixture(scope="session")
def write_workspace() -> WriteWorkspace:
    """A function of (folder, files) that writes a workspace; text becomes UTF-8, bytes stay as they are."""

    def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    return write
