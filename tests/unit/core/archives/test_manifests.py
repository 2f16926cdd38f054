import csv
import io
import json

import pytest

from core.archives import MANIFEST_FIELDS, NO_RESULT, ORIGINAL_FIELDS, manifest_csv, manifest_jsonl

ROW = {
    "path": '写真/ä "b", c\nd.jpg',
    "state": "done",
    "code": None,
    "message": "",
    "result_path": "写真/a (2).jpg",
    "size_bytes": 12,
    "result_size_bytes": 34,
    "sha256": "ab" * 32,
    "result_sha256": "cd" * 32,
    "model_version": "v0",
    "seconds": 0.25,
    "warning": "little_color",
    "losses": ["alpha, which JPEG cannot hold", "层"],
    "lightness_error_mean": 0.04,
    "lightness_error_max": 0.25,
    "mean_chroma": 1.5,
    "runtime": "test",
    "options": {"saturation": 1.0, "mark": False},
}
AS_CELLS = {
    "code": "",
    "losses": "alpha, which JPEG cannot hold; 层",
    "options": '{"saturation": 1.0, "mark": false}',
}


def as_csv(*rows):
    return b"".join(manifest_csv(rows))


def test_the_fields_are_those_promised():
    assert ",".join(MANIFEST_FIELDS) == (
        "path,state,code,message,result_path,size_bytes,result_size_bytes,sha256,result_sha256,model_version,seconds,"
        "warning,losses,lightness_error_mean,lightness_error_max,mean_chroma,runtime,options"
    )
    assert set(MANIFEST_FIELDS) == {*ORIGINAL_FIELDS, *NO_RESULT, "options"}


def test_the_csv_reads_back_as_it_was_written():
    read = list(csv.DictReader(io.StringIO(as_csv(ROW, ROW).decode("utf-8-sig"), newline="")))
    assert read == [{name: str(value) for name, value in ROW.items()} | AS_CELLS] * 2


def test_the_csv_starts_with_a_byte_order_mark_and_the_fields():
    assert as_csv() == b"\xef\xbb\xbf" + ",".join(MANIFEST_FIELDS).encode() + b"\r\n"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_text_that_a_spreadsheet_would_run_is_defused(start):
    path = start + "HYPERLINK(1).jpg"
    (read,) = csv.DictReader(
        io.StringIO(as_csv({"path": path, "losses": [path], "seconds": -1.5}).decode("utf-8-sig"), newline="")
    )
    assert read["path"] == read["losses"] == "'" + path
    assert read["seconds"] == "-1.5"


def test_each_line_of_json_is_one_row_exactly():
    lines = b"".join(manifest_jsonl([ROW, {"path": "=x\u2028.jpg"}])).decode("utf-8").split("\n")
    assert json.loads(lines[0]) == ROW
    assert json.loads(lines[1]) == dict.fromkeys(MANIFEST_FIELDS) | {"path": "=x\u2028.jpg"}
    assert lines[2:] == [""]
    assert "写真" in lines[0]
    assert list(json.loads(lines[1])) == list(MANIFEST_FIELDS)


@pytest.mark.parametrize("manifest", [manifest_csv, manifest_jsonl])
def test_a_long_manifest_comes_in_pieces_while_its_rows_are_read(manifest):
    read = 0

    def rows():
        nonlocal read
        for _ in range(100_000):
            read += 1
            yield ROW

    pieces = manifest(rows())
    first = next(pieces)
    assert read < 2000
    assert len(first) < 200_000
    assert sum(piece.count(b"v0") for piece in pieces) + first.count(b"v0") == 100_000
