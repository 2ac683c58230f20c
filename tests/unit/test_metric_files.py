"""Metrics of several processes by files: read as counted, and a full disk only delays them."""

import os
import shutil
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

from events.metric_files import MetricFile, MetricFiles, value_class
from tests.acceptance.test_disk_trouble import _files_limited
from tests.serving import until


def told(folder: Path) -> list[str]:
    """What prometheus_client's own collector makes of the files: the samples, as text."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    return [line for line in generate_latest(registry).decode().splitlines() if line[0] != "#"]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MetricFiles:
    """Files in `tmp_path / "metrics"`, which every metric made in the test goes to."""
    (tmp_path / "metrics").mkdir()
    files = MetricFiles(tmp_path / "metrics")
    monkeypatch.setattr(values, "ValueClass", value_class(files))
    return files


def test_every_kind_is_read_as_counted(tmp_path: Path, files: MetricFiles) -> None:
    """Counters, gauges and histograms, with labels of any length and script."""
    counter = Counter("c", "Counter", ["what"], registry=None)
    for length in range(9):
        counter.labels("ä" * length).inc(length)
    lag = Gauge("g", "Gauge", multiprocess_mode="mostrecent", registry=None)
    lag.set(3)
    lag.set(2)
    Gauge("live", "Gauge", multiprocess_mode="livesum", registry=None).inc(5)
    histogram = Histogram("h", "Histogram", buckets=(1, 2), registry=None)
    histogram.observe(1.5)
    assert files.flush()
    found = told(tmp_path / "metrics")
    assert {f'c_total{{what="{"ä" * n}"}} {n}.0' for n in range(9)} < set(found)
    assert {"g 2.0", "live 5.0", "h_count 1.0", "h_sum 1.5"} < set(found)
    assert {'h_bucket{le="1.0"} 0.0', 'h_bucket{le="2.0"} 1.0'} < set(found)


def test_files_are_written_without_being_asked(tmp_path: Path, files: MetricFiles) -> None:
    """What is counted stands in the files a moment later, again and again."""
    counter = Counter("c", "Counter", registry=None)
    for count in (1, 2, 3):
        counter.inc()
        until(lambda: told(tmp_path / "metrics") == [f"c_total {count}.0"], 5)  # noqa: B023


def test_a_full_disk_delays_what_it_has_no_room_for(tmp_path: Path, files: MetricFiles) -> None:
    """Label sets in the room taken at once are shown; the others are once there is space."""
    counter = Counter("c", "Counter", ["what"], registry=None)
    counter.labels("first").inc()
    assert files.flush()
    with _files_limited(16384):
        for number in range(50):
            counter.labels(str(number)).inc()
        assert files.flush()
        assert len(told(tmp_path / "metrics")) == 51
        for number in range(50, 1000):
            counter.labels(str(number)).inc()
        assert not files.flush()
        assert 'c_total{what="49"} 1.0' in told(tmp_path / "metrics")
        assert counter.labels("999")._value.get() == 1
    assert files.flush()
    assert len(told(tmp_path / "metrics")) == 1001


def test_a_file_that_cannot_be_made_is_made_later(tmp_path: Path, files: MetricFiles) -> None:
    """A process that starts on a full disk counts, and leaves no empty file to readers."""
    folder = tmp_path / "metrics"
    counter = Counter("c", "Counter", registry=None)
    with _files_limited(100):
        counter.inc()
        assert not files.flush()
        assert not list(folder.iterdir())
    shutil.rmtree(folder)
    assert not files.flush()
    folder.mkdir()
    counter.inc()
    assert files.flush()
    assert told(folder) == ["c_total 2.0"]


def test_a_process_of_the_same_number_counts_on(tmp_path: Path) -> None:
    """Counters go on where the file ends that an earlier process left; gauges begin anew."""
    for count in (1.0, 2.0):
        files = MetricFiles(tmp_path)
        for kind in ("counter", "gauge_livesum"):
            with files.lock:
                file = files.file_of(kind)
                place = file.place_of('["m", "m", {}, "Metric"]')
                file.write_sample(place, file.read_sample(place) + 1)
        assert files.flush()
        for kind, value in (("counter", count), ("gauge_livesum", 1.0)):
            (line,) = told_of(tmp_path / f"{kind}_{os.getpid()}.db", tmp_path / kind)
            assert line == f"m {value}"


def told_of(file: Path, alone: Path) -> list[str]:
    """The samples of one file."""
    alone.mkdir(exist_ok=True)
    shutil.copy(file, alone)
    return told(alone)


@pytest.mark.parametrize("content", [b"", b"\0" * 20, b"\xff" * 64])
def test_a_file_that_makes_no_sense_counts_as_none(tmp_path: Path, content: bytes) -> None:
    """What a power cut left of a file does not keep a process from starting."""
    path = tmp_path / "counter_1.db"
    path.write_bytes(content)
    file = MetricFile(path)
    file.place_of('["m", "m", {}, "Metric"]')
    file.write(file.taken())
    assert told(tmp_path) == ["m 0.0"]
