"""Tables on standard input and at addresses."""

from __future__ import annotations

import gzip
import io
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from threading import Thread

import fsspec
import numpy as np
import polars as pl
import pytest

import gradstep as gs
from tests.cli.reading import COLOUR, EXPECTED, GERMAN, PLAIN, N, bits


class TestStandardInput:
    def test_every_verb_reads_it(self, told, home, typed, gradstep):
        typed(GERMAN.encode())
        found = told("train", "-", "-t", "fare")
        assert (found["source"], found["model"]) == ("standard input", "stdin-fare.safetensors")
        typed(GERMAN.encode())
        assert told("evaluate", "stdin-fare.safetensors", "-")["rows"] == N
        typed(GERMAN.encode())
        told("prepare", "-", "-t", "fare", "-o", "prepared")
        assert bits(gs.open_prepared("prepared")) == EXPECTED
        typed(GERMAN.encode())
        status, out, _ = gradstep("predict", "stdin-fare.safetensors", "-", "--keep", "colour")
        assert status == 0
        frame = pl.read_csv(io.StringIO(out))
        assert frame["colour"].to_list() == COLOUR.tolist()
        expected = gs.load("stdin-fare.safetensors").predict(PLAIN)
        np.testing.assert_array_equal(frame["prediction"], expected)

    def test_is_one_table(self, fails, home):
        assert "--test are both -" in fails("train", "-", "-t", "fare", "--test", "-")

    def test_is_prepared_once(self, home, typed):
        """The same rows are found in the cache, as those of a file are."""
        for text in (GERMAN, GERMAN, GERMAN.replace("rot", "blau")):
            typed(text.encode())
            gs.prepare("-", "fare", cache=home / "cache")
        assert len(list((home / "cache").iterdir())) == 2

    @pytest.mark.parametrize("format_", ["parquet", "ndjson", "gz"])
    def test_in_other_formats(self, home, typed, format_):
        PLAIN.write_parquet("t.parquet")
        PLAIN.write_ndjson("t.ndjson")
        (home / "t.gz").write_bytes(gzip.compress(GERMAN.encode()))
        typed((home / f"t.{format_}").read_bytes())
        assert bits(gs.prepare("-", "fare")) == EXPECTED

    def test_predictions_come_as_rows_do(self, home, monkeypatch):
        """Each with the rows that have come, not at the end; and none ends within quotes."""
        table = PLAIN.with_columns(note=pl.Series([f'a "b"\n{i}' for i in range(N)]))
        model = gs.fit_table(table.drop("note"), "fare", max_iter=2).model
        data = table.write_csv().encode()
        sent = []

        class Slow(io.RawIOBase):
            def read1(self, _):
                part = data[sum(sent) :][: 7 if sum(sent) < 1000 else 501]
                sent.append(len(part))
                return part

        monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": Slow()}))
        found, when = [], []
        for batch in model.predict_batches("-", keep=["note"]):
            found.append(batch)
            when.append(sum(sent))
        assert len(set(when)) > 5
        both = pl.concat(found)
        np.testing.assert_array_equal(both["prediction"], model.predict(PLAIN))
        assert both["note"].to_list() == table["note"].to_list()

    def test_what_has_a_type_in_files(self, home, typed):
        """Truths, dates and times of day: text here, and the same features."""
        day = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 4, 29), "1d", eager=True)
        table = PLAIN.with_columns(
            paid=pl.Series([i % 3 == 0 for i in range(N)]), day=day,
            start=pl.Series([f"{i % 24:02}:30:00" for i in range(N)]).str.to_time("%H:%M:%S"),
        )  # fmt: skip
        model = gs.fit_table(table, "fare", max_iter=2).model
        for data in (table.write_csv().encode(), table.write_ndjson().encode()):
            typed(data)
            np.testing.assert_array_equal(model.predict("-"), model.predict(table))

    def test_wrong_rows_have_their_lines(self, fails, told, home, typed):
        (home / "t.csv").write_text(GERMAN)
        told("train", "t.csv", "-t", "fare", "-m", "m.safetensors")
        typed(GERMAN.encode() + b"1;rot\n")
        message = fails("predict", "m.safetensors", "-", "-o", "o.csv")
        assert f"standard input, line {N + 2}: the row has 2 fields" in message
        typed(GERMAN.encode() + b"1.5;rot;1\n")
        message = fails("predict", "m.safetensors", "-", "-o", "o.csv")
        assert f"standard input, row {N + 1} " in message
        typed(b"km;colour\n")
        assert told("predict", "m.safetensors", "-", "-o", "o.csv", "--keep", "km")["rows"] == 0
        assert (home / "o.csv").read_text() == "km,prediction\n"

    def test_errors_name_it(self, fails, home, typed):
        typed(b"x,y\n1,2\n3\n")
        assert "standard input, line 3" in fails("prepare", "-", "-t", "y", "-o", "p")
        typed(b"")
        assert "standard input is empty" in fails("prepare", "-", "-t", "y", "-o", "p")


class TestAddresses:
    @pytest.fixture
    def server(self, home):
        """Return where the folder's files are served."""

        class Quiet(SimpleHTTPRequestHandler):
            def log_message(self, *_):
                """Say nothing."""

        handler = partial(Quiet, directory=str(home))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()
            thread.join()

    def test_of_http(self, home, server, fails):
        (home / "t.csv").write_text(GERMAN)
        PLAIN.write_parquet(home / "t.parquet")
        for name in ("t.csv", "t.csv?version=2", "t.parquet"):
            assert bits(gs.prepare(f"{server}/{name}", "fare")) == EXPECTED
        (home / "download").write_bytes((home / "t.parquet").read_bytes())
        assert bits(gs.prepare(f"{server}/download", "fare")) == EXPECTED  # by its first bytes
        message = fails("prepare", f"{server}/none.csv", "-t", "fare", "-o", "p")
        assert f"{server}/none.csv cannot be read: HTTP Error 404" in message

    def test_of_what_is_no_table(self, home, server, fails):
        """A page about a file, a folder that is listed, a name that tells nothing, sparse text."""
        (home / "t.csv").write_text("\n<!DOCTYPE HTML>\n<title>t.csv</title>")
        (home / "t.php").write_text(GERMAN)
        for name, why in [
            ("t.csv", "is a web page, not a table."),
            ("", "is a web page, not a table."),
            ("t.php", "has a suffix that says nothing of a table."),
            ("t.svm", "is sparse text, which is read from files alone"),
        ]:
            message = fails("train", f"{server}/{name}", "-t", "label")
            assert f"{server}/{name} {why}" in message

    def test_that_nothing_answers(self, fails):
        with socket() as closed:
            closed.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{closed.getsockname()[1]}/t.csv"
            message = fails("train", url, "-t", "fare")
        assert f"{url} cannot be read: Connection refused. Is it right" in message

    def test_keep_their_secrets(self, home, server, told, gradstep):
        """A signed URL would open more than the table to whoever is sent the model, or the page."""
        (home / "t.csv").write_text(GERMAN)
        url = f"{server}/t.csv?signature=secret"
        found = told("train", url, "-t", "fare", "--validation", url, "--report", "r.html")
        assert found["source"] == f"{server}/t.csv?…"
        told("report", found["model"], url, "-o", "p.html")
        said = gradstep("show", found["model"])[1] + gradstep("train", url, "-t", "fare")[1]
        for path in (found["model"], "r.html", "p.html"):
            said += (home / path).read_bytes().decode(errors="replace")
        assert "t.csv?…" in said
        assert "secret" not in said

    def test_of_memory(self, home):
        """By fsspec itself, in a file system of its own that needs no network."""
        with fsspec.open("memory://t.csv", "wb") as file:
            file.write(GERMAN.encode())
        assert bits(gs.prepare("memory://t.csv", "fare")) == EXPECTED

    def test_of_others(self, home, fails, monkeypatch):
        """By fsspec, which is asked for where it is not there."""
        monkeypatch.setitem(sys.modules, "fsspec", None)
        message = fails("prepare", "s3://bucket/t.csv", "-t", "fare", "-o", "p")
        assert "s3://bucket/t.csv needs another package: fsspec, which is not installed" in message
        assert "gradstep[remote]" in message
