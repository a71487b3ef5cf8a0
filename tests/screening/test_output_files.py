"""What a screening does to files that are not its own, and what it says of its own when lost."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small_screen import crystals

from ase_e3dos import screen
from ase_e3dos.cli.output import write_table
from ase_e3dos.errors import ScreeningError
from ase_e3dos.screening import report
from ase_e3dos.screening.report.page import write_page


@pytest.mark.parametrize("name", [".lock", ".owner.json", "part-00000.parquet"])
def test_links_in_the_output_are_not_written_through(
    weights: Path, tmp_path: Path, name: str
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("of somebody else")
    output = tmp_path / "out"
    output.mkdir()
    (output / name).symlink_to(precious)
    if name == ".owner.json":
        screen(crystals(2), output, model=weights, device="cpu")
    else:
        with pytest.raises(ScreeningError, match=rf"{re.escape(name)}: is a link"):
            screen(crystals(2), output, model=weights, device="cpu")
    assert precious.read_text() == "of somebody else"


def test_links_with_the_names_of_temporary_files_are_not_written_through(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ase_e3dos.screening import shards

    precious = tmp_path / "precious"
    precious.write_text("of somebody else")
    output = tmp_path / "out"
    claim = shards.ShardStore._claim

    def claimed_and_linked(store: shards.ShardStore) -> None:
        claim(store)
        (output / f".tmp-{shards.os.getpid()}-part-00000.parquet").symlink_to(precious)

    monkeypatch.setattr(shards.ShardStore, "_claim", claimed_and_linked)
    screen(crystals(2), output, model=weights, device="cpu")
    assert precious.read_text() == "of somebody else"
    assert len(pq.read_table(output)) == 2


def test_a_report_does_not_write_through_a_link(weights: Path, tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    precious = tmp_path / "precious"
    precious.write_text("of somebody else")
    screen(crystals(12), tmp_path / "out", model=weights, device="cpu")
    page = tmp_path / "out" / "report.html"
    page.symlink_to(precious)
    write_page(report.read_screen(tmp_path / "out"), page)
    assert precious.read_text() == "of somebody else"
    assert "<html" in page.read_text(encoding="utf-8")


def test_a_flipped_bit_is_found_on_resume(weights: Path, tmp_path: Path) -> None:
    screen(crystals(20), tmp_path, model=weights, device="cpu")
    shard = tmp_path / "part-00000.parquet"
    group = pq.read_metadata(shard).row_group(0)
    content = shard.read_bytes()
    columns = [group.column(k) for k in range(group.num_columns)]
    for name in ("density", "id", "content"):
        (column,) = (c for c in columns if c.path_in_schema.split(".")[0] == name)
        start = column.dictionary_page_offset or column.data_page_offset
        for share in (0.4, 0.55, 0.75, 0.95):  # of some, the decompression alone takes no notice
            place = start + int(column.total_compressed_size * share)
            shard.write_bytes(
                content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]
            )
            with pytest.raises(ScreeningError, match=r"part-00000\.parquet.*damaged"):
                screen(crystals(20), tmp_path, model=weights, device="cpu")
    shard.write_bytes(content)
    assert screen(crystals(20), tmp_path, model=weights, device="cpu").skipped == 20


def test_what_is_said_when_the_folder_was_deleted(weights: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"

    def until_deleted():
        for k, entry in enumerate(crystals(30)):
            if k == 25:
                shutil.rmtree(output)
            yield entry

    with pytest.raises(ScreeningError, match="the folder is gone") as error:
        screen(until_deleted(), output, model=weights, device="cpu", shard_size=2)
    assert "are safe" not in str(error.value)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\t=1+1", "\r=1+1", "\n=1+1"])
def test_text_that_a_spreadsheet_would_run_is_guarded(tmp_path: Path, text: str) -> None:
    write_table(tmp_path / "t.csv", [{"id": text, "value": -1.5}])
    with (tmp_path / "t.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row == {"id": "'" + text.replace("\r", "\n"), "value": "-1.5"}
    # The report's script has the same rule.
    script = (Path(report.__file__).parent / "page.js").read_text()
    (rule,) = re.findall(r"/(\^\[=[^/]*)/\.test\(text\)", script)
    assert re.match(rule, text)
    assert not re.match(rule, "NaCl")
