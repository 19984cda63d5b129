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
    for text, message in (
        ("recording,site\na,b\n", "1: missing column recording_id"),
        ("recording_id,place\na,b\n", "1: needs a column site or recorder"),
        ("recording_id,site\na,b\nc\n", "3: 1 cells, the header has 2"),
        ("recording_id,site\n", " lists no recordings"),
    ):
        table.write_text(text)
        with pytest.raises(ManifestError, match=rf"recordings\.csv:{message}"):
            read_places(table)
    table.write_text("recording_id,site\n'=a,'+b\n")
    assert read_places(table) == {"=a": ("+b", None)}
    with pytest.raises(ManifestError, match="cannot be read"):
        read_places(tmp_path / "missing.csv")
    with pytest.raises(ManifestError, match="none of the 1 recordings of the table is here"):
        build(tmp_path / "out", recordings, places={"elsewhere": ("creek", None)})
