"""Archives are rows of gzip members: every reader of .gz reads them, and a torn one never hides what is added later."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from csms.store.archive import Archive, mend


def read(file: Path) -> list[Any]:
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]


def test_lines_go_into_the_month_they_are_of(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "old")
    archive.add("notices", [{"id": 1, "at": "2026-01-31T23:59:59+00:00"}, {"id": 2, "at": "2026-02-01T00:00:00+00:00"}])
    archive.add("notices", [{"id": 3, "at": "2026-01-01T00:00:00+00:00"}])
    assert [line["id"] for line in read(tmp_path / "old" / "notices-2026-01.jsonl.gz")] == [1, 3]
    assert [line["id"] for line in read(tmp_path / "old" / "notices-2026-02.jsonl.gz")] == [2]


def test_a_torn_member_is_cut_off_before_more_is_added(tmp_path: Path) -> None:
    file = tmp_path / "notices-2026-01.jsonl.gz"
    Archive(tmp_path).add("notices", [{"id": 1, "at": "2026-01-01"}])
    whole = file.stat().st_size
    for torn in (1, 12, 25):
        file.write_bytes(file.read_bytes()[:whole] + gzip.compress(b"torn by a crash")[:torn])
        Archive(tmp_path).add("notices", [{"id": 2, "at": "2026-01-02"}])
        assert [line["id"] for line in read(file)] == [1, 2]
        file.write_bytes(file.read_bytes()[:whole])


def test_a_sound_file_is_left_as_it_is(tmp_path: Path) -> None:
    Archive(tmp_path).add("a", [{"at": "2026-01-01"}])
    file = tmp_path / "a-2026-01.jsonl.gz"
    before = file.read_bytes()
    assert mend(file) == 0
    assert file.read_bytes() == before
