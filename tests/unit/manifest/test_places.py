import pytest

from rfcx_ssl.errors import ManifestError
from rfcx_ssl.manifest.places import read_places


def test_a_table_places_recordings_and_groups_the_split(recordings, tmp_path, build, segments_of):
    table = tmp_path / "recordings.csv"
    names = sorted(path.stem for path in recordings.iterdir())
    table.write_text(
        "recording_id,split,site,recorder\n"
        + "".join(f"{name},train,creek{number % 2},unit{number % 4}\n" for number, name in enumerate(names[:-1]))
    )
    settings = {"split": {"group_by": "site"}}
    build(tmp_path / "out", recordings, places=read_places(table), **settings)
    rows = segments_of(tmp_path / "out")
    assert {row["group"] for row in rows} == {"site creek0", "site creek1", "site SITE2"}  # the last one by its name
    assert {row["recorder"] for row in rows} == {None, "unit0", "unit1", "unit2", "unit3"}
    assert build(tmp_path / "out", recordings, **settings).prepared == 0
    assert {row["group"] for row in segments_of(tmp_path / "out")} == {"site SITE0", "site SITE1", "site SITE2"}


def test_wrong_tables_are_named(recordings, tmp_path, build):
    table = tmp_path / "recordings.csv"
    table.write_text("recording,site\na,b\n")
    with pytest.raises(ManifestError, match=r"recordings\.csv:1: needs columns recording_id and site or recorder"):
        read_places(table)
    with pytest.raises(ManifestError, match="cannot be read"):
        read_places(tmp_path / "missing.csv")
    with pytest.raises(ManifestError, match="none of the 1 recordings of the table is here"):
        build(tmp_path / "out", recordings, places={"elsewhere": ("creek", None)})
