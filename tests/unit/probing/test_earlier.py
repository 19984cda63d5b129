from rfcx_ssl.probing.earlier import set_aside

FILES = {"probe.json": "one", "table.csv": "a,b", "report.html": "<p>", "fewer-labels.png": "picture"}


def write(folder, **changes):
    for name, text in (FILES | changes).items():
        (folder / name).write_text(text)


def test_other_results_are_moved_whole_and_features_stay(tmp_path):
    (tmp_path / "features").mkdir()
    for number, said in enumerate(("two", "three"), start=1):
        write(tmp_path, **{"table.csv": f"table {number}"})
        kept = set_aside(tmp_path, said)
        assert kept == tmp_path / "earlier" / f"00{number}"
        assert {path.name for path in kept.iterdir()} == set(FILES)
        assert (kept / "table.csv").read_text() == f"table {number}"
        assert {path.name for path in tmp_path.iterdir()} == {"features", "earlier"}


def test_the_same_results_and_an_empty_folder_are_left_alone(tmp_path):
    assert set_aside(tmp_path, "one") is None
    write(tmp_path)
    assert set_aside(tmp_path, "one") is None
    assert {path.name for path in tmp_path.iterdir()} == set(FILES)
