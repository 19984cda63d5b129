"""Labels of any project: tables of every kind beside the audio."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rfcx_ssl.annotations import COLUMNS, WHOLE, ProgramRule, ProjectFiles, Span, read_project
from rfcx_ssl.annotations.spans import fit_to_recordings
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.species import SpeciesTable, read_species, write_species

RAVEN = (
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tDelta Time (s)\tSpecies"
)
BIRDNET = "Start (s),End (s),Scientific name,Common name,Confidence,File"


@pytest.fixture
def root(tmp_path):
    """Two ponds with the same names of files; nothing here listens to them."""
    for name in ("pond a/day1/x.wav", "pond a/day1/y.WAV", "pond b/x.flac", "z.mp3"):
        path = tmp_path / "frogs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "frogs"


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def rows_of(project):
    names = project.species.names
    table = project.annotations.table
    cells = zip(
        *(table[name].tolist() for name in ("recording_id", "species_id", "t_min", "t_max", "state")), strict=True
    )
    return [(name, names[species], start, end, state) for name, species, start, end, state in cells]


def test_tables_of_several_kinds_lie_beside_the_audio(root, caplog):
    write(
        root / "pond a/day1/x.Table.1.selections.txt",
        RAVEN,
        "1\tSpectrogram 1\t1\t1\t2\t1000\t3000\t1\tHyla  arborea ",
    )
    write(root / "pond b/x.txt", "3\t4\tRana")
    write(root / "tables/all.csv", "file,start_s,end_s,label,state", "z,5,6,hyla arborea,absent", "y.wav,1,2,Rana,")
    project = read_project(ProjectFiles(root))
    assert rows_of(project) == [
        ("pond a/day1/x", "Hyla arborea", 1.0, 2.0, "present"),
        ("pond a/day1/y", "Rana", 1.0, 2.0, "present"),
        ("pond b/x", "Rana", 3.0, 4.0, "present"),
        ("z", "Hyla arborea", 5.0, 6.0, "absent"),
    ]
    assert project.species.band_hz(0) == (1000.0, 3000.0) and project.species.band_hz(1) is None
    assert read_species(root / "species.csv") == project.species
    assert f"2 species inferred from the labels, written to {root / 'species.csv'}" in caplog.text
    caplog.clear()
    assert read_project(ProjectFiles(root)).annotations.table.equals(project.annotations.table)
    assert "inferred" not in caplog.text


def test_a_label_that_the_species_lack_says_where_to_add_it(root):
    write_species(SpeciesTable.of_names(["Rana"]), root / "species.csv")
    table = write(root / "t.csv", "file,start_s,end_s,label", "z,1,2,Rana", "z,1,2,Ranna")
    with pytest.raises(AnnotationError) as error:
        read_project(ProjectFiles(root))
    assert str(error.value) == (
        f"{table}:3: unknown label 'Ranna': did you mean 'rana'? Or add it to the label map or to {root / 'species.csv'}"
    )


def test_nothing_is_written_where_a_row_is_wrong(root):
    write(root / "t.csv", "file,start_s,end_s,label", "z,1,2,Rana", "z,3,2,Hyla")
    with pytest.raises(AnnotationError, match=r"t\.csv:3: t_min=3 must be below t_max=2"):
        read_project(ProjectFiles(root))
    assert not (root / "species.csv").exists()


def test_a_label_map_merges_skips_and_names(root):
    write(root / "t.csv", "file,start_s,end_s,label", "z,1,2,RANTEM", "z,2,3,common frog", "z,3,4,car", "z,4,5,Hyla")
    maps = write(root / "map.csv", "label,species", "rantem,Rana temporaria", "common frog,Rana temporaria", "car,")
    expected = [(1.0, "Rana temporaria"), (2.0, "Rana temporaria"), (4.0, "Hyla")]
    for _ in range(2):  # inferred, then read
        project = read_project(ProjectFiles(root, label_map=maps))
        assert [(start, name) for _, name, start, *_ in rows_of(project)] == expected
    assert project.species.names == ("Hyla", "Rana temporaria")


def test_labels_in_doubt_are_skipped_and_counted(root, caplog):
    write(root / "t.csv", "file,start_s,end_s,label", "z,1,2,Rana", "z,2,3,Rana?", "z,3,4,?", "z,4,5,")
    assert len(read_project(ProjectFiles(root)).annotations) == 1
    assert "2 label rows are left out: their label ends in a question mark" in caplog.text
    assert "1 label rows are left out: they have no label" in caplog.text


def test_names_meet_whatever_their_case_spaces_and_unicode(root):
    write(root / "t.csv", "file,start_s,end_s,label", "z,1,2,pin\u0303on", "z,2,3,PI\u00d1ON ", "z,3,4,Pi\u00f1on")
    project = read_project(ProjectFiles(root))
    assert len(project.species) == 1 and len(project.annotations) == 3


def test_what_programs_wrote_is_no_truth_unless_asked_for(root, caplog):
    birds = (
        BIRDNET,
        "0.0,3.0,Turdus merula,Blackbird,0.95,C:\\data\\z.mp3",
        "3.0,6.0,Turdus merula,Blackbird,0.50,z.mp3",
    )
    write(root / "z.BirdNET.results.csv", *birds)
    write(root / "t.csv", "file,start_s,end_s,label", "z,1,2,Rana")
    project = read_project(ProjectFiles(root), complete="tables")
    assert [row[1] for row in rows_of(project)] == ["Rana"] and project.species.names == ("Rana",)
    assert "2 label rows are left out: a program wrote them, not a person" in caplog.text
    (root / "species.csv").unlink()
    caplog.clear()
    project = read_project(ProjectFiles(root), program=ProgramRule(0.25, 0.9))
    assert [row[:3] for row in rows_of(project)] == [("z", "Blackbird", 0.0), ("z", "Rana", 1.0)]
    assert project.annotations.table["weight"].tolist() == [0.25, 1.0]
    assert "1 label rows that a program wrote count as labels, with weight 0.25" in caplog.text
    (root / "species.csv").unlink()
    caplog.clear()
    named = write(root.parent / "named.csv", *birds)
    assert len(read_project(ProjectFiles(root, extra_tables=(named,))).annotations) == 3
    assert "2 label rows that a program wrote count as labels, with their own weight" in caplog.text


def test_tags_of_recordings_and_windows_are_weak(root):
    write(root / "t.csv", "file,label,start_s,end_s,weak", "z,Rana,,,", "z,Hyla,1,2,yes", "z,Hyla,3,4,no")
    table = read_project(ProjectFiles(root)).annotations.table
    assert table[["t_min", "t_max", "weak"]].values.tolist() == [
        [0.0, float("inf"), True],
        [1.0, 2.0, True],
        [3.0, 4.0, False],
    ]
    assert fit_to_recordings(read_project(ProjectFiles(root)).annotations, {"z": 9.0}).events("z")[0].end_s == 9.0


def test_completeness_by_recording_stretch_and_species(root):
    write(root / "t.csv", "file,start_s,end_s,label", "z,1,2,Rana", "y,1,2,Hyla")
    write(root / "pond b" / "x.txt")  # an empty track: somebody listened and heard nothing
    write(root / "recordings.csv", "file,site,complete", "pond a/day1/x.wav,a,yes", "y,a,")
    listed = write(root.parent / "done.csv", "file,start_s,end_s,species", "z,,30,Rana; hyla", "y.WAV,10,,")
    project = read_project(ProjectFiles(root, complete_file=listed))
    expected = {
        "pond a/day1/x": (WHOLE,),
        "pond a/day1/y": (Span(10.0),),
        "z": (Span(0.0, 30.0, frozenset({0, 1})),),
    }
    assert project.annotations.complete == expected
    assert set(read_project(ProjectFiles(root), complete="tables").annotations.complete) == {
        "pond a/day1/x", "pond a/day1/y", "pond b/x", "z",
    }  # fmt: skip
    write(listed, "file,species", "z,Bufo")
    with pytest.raises(AnnotationError, match=r"done\.csv:2: species 'Bufo' is unknown"):
        read_project(ProjectFiles(root, complete_file=listed))
    write(listed, "file", "q")
    with pytest.raises(AnnotationError, match=r"done\.csv:2: no audio file 'q' below"):
        read_project(ProjectFiles(root, complete_file=listed))


def test_files_that_are_no_label_tables_are_named(root, caplog):
    write(root / "t.csv", "file,start_s,end_s,label", "z,1,2,Rana")
    write(root / "CONFIG.TXT", "Device ID : 24")
    write(root / "weather.csv", "day,rain_mm", "1,2")
    read_project(ProjectFiles(root))
    assert f"{root}: not label tables, left out: CONFIG.TXT, weather.csv" in caplog.text
    write(root / "u.csv", "filename,start_s,end_s,label", "z,1,2,Rana")
    with pytest.raises(AnnotationError, match=r"u\.csv:1: looks like a label table, but lacks the column file"):
        read_project(ProjectFiles(root))


def test_a_root_without_tables_says_what_one_looks_like(root):
    with pytest.raises(
        AnnotationError, match="no label table below it; the plain kind is a CSV with the columns file, label"
    ):
        read_project(ProjectFiles(root))


def test_rows_about_missing_audio_are_an_error_or_counted(root, caplog):
    write(root / "t.csv", "file,start_s,end_s,label", "z,1,2,Rana", "gone.wav,1,2,Rana")
    with pytest.raises(AnnotationError, match=r"t\.csv:3: no audio file 'gone\.wav' below"):
        read_project(ProjectFiles(root))
    assert len(read_project(ProjectFiles(root), allow_missing_audio=True).annotations) == 1
    assert "1 label rows are left out: about recordings whose audio file is not there" in caplog.text


def test_ids_of_species_need_their_table(root):
    write(root / "t.csv", "recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max", "z,1,1,0,100,1,200")
    with pytest.raises(AnnotationError, match=r"t\.csv:2: species_id needs a table of species"):
        read_project(ProjectFiles(root))
    write_species(SpeciesTable.of_names(["Hyla", "Rana"]), root / "species.csv")
    assert rows_of(read_project(ProjectFiles(root))) == [("z", "Rana", 0.0, 1.0, "present")]


def test_duplicates_count_once_whoever_wrote_them(root):
    write(
        root / "t.csv",
        "file,start_s,end_s,label,annotator",
        "z,1,2,Rana,ann",
        "z.mp3,1,2,rana,bob",
        "z,1,2.5,Rana,bob",
    )
    table = read_project(ProjectFiles(root)).annotations.table
    assert table["t_max"].tolist() == [2.0, 2.5] and table["annotator"].tolist() == ["ann", "bob"]


def test_species_go_where_they_are_told(root, tmp_path):
    write(root / "t.csv", "file,start_s,end_s,label", "z,1,2,Rana")
    read_project(ProjectFiles(root, species_file=tmp_path / "elsewhere.csv"))
    assert (tmp_path / "elsewhere.csv").is_file() and not (root / "species.csv").exists()
    (tmp_path / "elsewhere.csv").unlink()
    with pytest.raises(AnnotationError, match=r"cannot be written there .* name a place with data\.species_file"):
        read_project(ProjectFiles(root, species_file=tmp_path / "no" / "elsewhere.csv"))


boxes = st.lists(
    st.tuples(
        st.sampled_from(["pond a/day1/x", "pond a/day1/y", "pond b/x", "z"]),
        st.sampled_from(["Rana", "Hyla arborea", "Pi\u00f1a \u592a"]),
        st.integers(0, 10**5),
        st.integers(1, 10**4),
        st.integers(0, 9000),
        st.sampled_from(["plain", "raven", "raven of all", "audacity", "detections"]),
    ),
    min_size=1,
    max_size=12,
)


def table_of(kind, rows):
    """A table of one kind as text; rows are (path, label, start, end, low, high)."""
    if kind == "raven":
        lines = [
            f"1\tSpectrogram 1\t1\t{start}\t{end}\t{low}\t{high}\t1\t{label}"
            for _, label, start, end, low, high in rows
        ]
        return [RAVEN, *lines]
    if kind == "raven of all":  # times run on over the files, the offset counts
        head = RAVEN.replace("Delta Time (s)", "Begin Path\tFile Offset (s)")
        return [head] + [
            f"1\tSpectrogram 1\t1\t{start}\t{end}\t{low}\t{high}\tC:\\old\\{path}.wav\t{start}\t{label}".replace(
                "/", "\\"
            )
            for path, label, start, end, low, high in rows
        ]
    if kind == "audacity":
        return [f"{start}\t{end}\t{label}\n\\\t{low}\t{high}" for _, label, start, end, low, high in rows]
    if kind == "detections":  # that a person wrote: without a score
        head = "recording,start_s,end_s,species,f_min,f_max"
        return [head, *(",".join((path, start, end, label, low, high)) for path, label, start, end, low, high in rows)]
    head = "file,label,start_s,end_s,low_hz,high_hz"
    return [head, *(",".join((f"{path}.wav", *cells)) for path, *cells in rows)]


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=boxes)
def test_however_the_kinds_are_mixed_the_labels_are_those_of_one_table(root, drawn):
    for path in (*root.rglob("*.csv"), *root.rglob("*.txt")):
        path.unlink()
    mixed, rows = {}, []
    for path, label, start_ms, length_ms, low, kind in drawn:
        start, end = f"{start_ms / 1000:.3f}", f"{(start_ms + length_ms) / 1000:.3f}"
        rows.append((path, label, start, end, str(low), str(low + 500)))
        own = {"raven": f"{path}.selections.txt", "audacity": f"{path}.txt"}.get(kind, f"{kind}.csv")
        mixed.setdefault((own.replace("of all.csv", "of all.txt"), kind), []).append(rows[-1])
    for (name, kind), part in mixed.items():
        write(root / name, *table_of(kind, part))
    several = read_project(ProjectFiles(root, species_file=root.parent / "several.csv"))
    for name, _ in mixed:
        (root / name).unlink()
    write(root / "one.csv", *table_of("plain", rows))
    one = read_project(ProjectFiles(root, species_file=root.parent / "one.csv"))
    for path in root.parent.glob("*.csv"):
        path.unlink()
    assert several.species == one.species
    first, second = (
        project.annotations.table.drop(columns="source").sort_values(list(COLUMNS[:8]), ignore_index=True)
        for project in (several, one)
    )
    assert first.equals(second)
