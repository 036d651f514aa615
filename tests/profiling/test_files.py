"""Profiles as files, tables and data frames."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from support import profiles

from edgekit.errors import EdgekitError, UsageError
from edgekit.profiling import markdown, outputs
from edgekit.profiling.csv import render
from edgekit.profiling.files import merge, read_profile, write_profile
from edgekit.profiling.rows import rows
from edgekit.profiling.table import table
from edgekit.runtime.profiler.profile import Profile


@pytest.fixture(scope="module")
def profile() -> Profile:
    return profiles.profile(mode="quick")


def test_what_is_written_is_read_back(profile: Profile, tmp_path: Path) -> None:
    write_profile(profile, tmp_path / "profile.json")
    assert read_profile(tmp_path / "profile.json") == profile
    write_profile(profile, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "profile.json").read_bytes()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not JSON"),
        ("{}", "this is no profile"),
        ('{"kind": "edgekit profile", "schema_version": 99}', "schema version 99"),
        ('{"kind": "edgekit profile", "schema_version": 1}', "is missing"),
    ],
)
def test_what_is_no_profile_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "profile.json").write_text(text)
    with pytest.raises(UsageError, match=words) as raised:
        read_profile(tmp_path / "profile.json")
    assert "profile.json" in raised.value.message
    with pytest.raises(UsageError, match="cannot read"):
        read_profile(tmp_path / "none.json")


def test_a_cell_without_its_bundle_is_refused(profile: Profile, tmp_path: Path) -> None:
    write_profile(replace(profile, bundles=profile.bundles[:1]), tmp_path / "profile.json")
    with pytest.raises(UsageError, match="is missing from it"):
        read_profile(tmp_path / "profile.json")


def test_sessions_are_merged_and_never_compared(profile: Profile) -> None:
    later = profiles.profile(mode="quick", seed=7)
    merged = merge([profile, later, profile])
    assert len(merged.cells) == 2 * len(profile.cells) and merged.bundles == profile.bundles
    names = [device.name for device in merged.devices]
    assert len(set(names)) == 6 and "local (2)" in names
    assert any("local (2)" in note and "seed 7" in note for note in merged.notes)
    ratios = [row.comparison and row.comparison.ratio for row in rows(merged)]
    alone = [row.comparison and row.comparison.ratio for row in (*rows(profile), *rows(later))]
    assert ratios == alone
    assert merge([profile]) == profile


def test_every_figure_is_in_the_csv(profile: Profile) -> None:
    found = rows(profile)
    lines = list(csv.DictReader(io.StringIO(render(found))))
    assert len(lines) == len(found)
    for line, row in zip(lines, found, strict=True):
        assert line["variant"] == row.variant
        assert line["latency_ms.median"] == ("" if row.latency_ms is None else str(row.latency_ms.median))
        assert line["comparison.verdict"] == ("" if row.comparison is None else row.comparison.verdict)
    assert {"latency_ms.interval.0", "peak_rss_bytes", "guest_instructions", "marks"} <= lines[0].keys()


def test_tables_show_what_there_is_and_why_the_rest_is_missing(profile: Profile) -> None:
    headers, lines = table(rows(profile))
    assert {"device", "bundle", "median ms", "instructions", "note"} <= set(headers) and "energy mJ" not in headers
    text = "\n".join(" ".join(line) for line in lines)
    assert "failed: ended by SIGSEGV" in text and "throttled" in text and "2,610,442" in text
    emulated = next(line for line in lines if line[headers.index("device")] == profiles.EMULATED)
    assert emulated[headers.index("median ms")] == "-"
    local = [row for row in rows(profile) if row.device == "local" and row.target == "rpi4"]
    assert not {"device", "bundle", "instructions"} & set(table(local)[0])


def test_markdown_stays_one_table(profile: Profile) -> None:
    broken = replace(profile.cells[0], reason="a | b\n<b>", status="failed")
    text = markdown.render(replace(profile, cells=(broken, *profile.cells[1:])))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == len(profile.cells) + 2
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1 and "<b>" not in text
    assert "ship" in text.split("|")[0]


def test_outputs_are_looked_at_before_the_slow_work(tmp_path: Path) -> None:
    for name, words in {
        "report.pdf": "no kind of file '.pdf'",
        "report": "no kind of file",
        ".html": "no kind of file",
        "none/report.html": "there is no folder",
        "x.trace.json": "none are traced",
    }.items():
        with pytest.raises(UsageError, match=words):
            outputs.check([tmp_path / name], operators=False)
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        outputs.check([tmp_path / "folder.html"], operators=False)
    with pytest.raises(EdgekitError, match="cannot write"):
        outputs.check([Path("/proc/report.html")], operators=False)
    outputs.check([tmp_path / "x.trace.json", tmp_path / "x.html"], operators=True)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.html"]


def test_each_ending_has_its_contents(profile: Profile, tmp_path: Path) -> None:
    for ending in (".json", ".csv", ".md"):
        outputs.write(profile, tmp_path / f"x{ending}")
    assert json.loads((tmp_path / "x.json").read_text())["kind"] == "edgekit profile"
    assert (tmp_path / "x.csv").read_text().startswith("device,")
    assert (tmp_path / "x.md").read_text().startswith("- ")
