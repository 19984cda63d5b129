"""Where and when species occur."""

from datetime import date, datetime
from math import inf, log

import numpy as np
import pytest

from rfcx_ssl.decoding.occurrence import read_occurrence
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.species.table import SpeciesTable

SPECIES = SpeciesTable.of_names(["Coqui", "Wren", "Parrot"])
NIGHT, DAY = datetime(2023, 1, 15, 23, 30), datetime(2023, 7, 15, 12, 0)


@pytest.fixture
def read(tmp_path):
    def read(*lines, prevalence=None):
        path = tmp_path / "occurs.csv"
        path.write_text("\n".join(lines) + "\n")
        return read_occurrence(path, SPECIES, prevalence)

    return read


def test_rows_hold_where_and_when_they_say(read):
    table = read("species,site,month,hour,odds", "Coqui,,,18-5,4", "Wren,,11-2,,0", "parrot,Ridge,,,0.5")
    assert table.weights("ridge", NIGHT).shift.tolist() == [log(4), -inf, log(0.5)]
    assert table.weights("valley", DAY).shift.tolist() == [0, 0, 0]
    for hour in range(24):
        here = table.weights(None, datetime(2023, 5, 1, hour)).shift[0]
        assert here == (log(4) if hour >= 18 or hour <= 5 else 0)
    months = [month for month in range(1, 13) if table.weights("a", datetime(2023, month, 1)).shift[1] == -inf]
    assert months == [1, 2, 11, 12]


def test_the_row_that_says_more_counts_site_first(read):
    rows = [
        "Coqui,,,,2",
        "Coqui,,,23,3",
        "Coqui,,1,,5",
        "Coqui,,1,23,7",
        "Coqui,a,,,11",
        "Coqui,a,,23,13",
        "Coqui,a,1,23,17",
    ]
    table = read("species,site,month,hour,odds", *reversed(rows))
    odds = [
        (None, None, 2), (None, date(2023, 1, 1), 5), (None, DAY, 2), (None, NIGHT, 7), ("b", NIGHT, 7),
        ("a", None, 11), ("a", DAY, 11), ("a", NIGHT, 17), ("a", NIGHT.replace(month=3), 13), ("b", NIGHT.replace(month=3), 3),
    ]  # fmt: skip
    for site, when, expected in odds:
        assert table.weights(site, when).shift[0] == pytest.approx(log(expected)), (site, when)


def test_what_is_not_known_applies_nothing_and_is_said(read):
    table = read("species,site,hour,occurs", "Coqui,a,,0", "Wren,,12,0", "Parrot,,,1")
    assert table.weights(None, None).shift.tolist() == [0, 0, 0]
    assert table.weights(None, None).unknown == ("site", "hour")
    assert table.weights("a", date(2023, 1, 1)).unknown == ("hour",)
    assert table.weights("a", DAY)[1] == () and table.weights("a", DAY).shift.tolist() == [-inf, -inf, 0]


def test_a_prevalence_replaces_the_one_that_scores_hold(read):
    table = read("species,site,prevalence", "Coqui,a,0.5", "Wren,a,0", prevalence=np.array([0.2, 0.2, np.nan]))
    assert table.weights("a", None).shift.tolist() == [pytest.approx(log(4)), -inf, 0]


def test_a_species_may_be_known_in_words_alone(read):
    assert read("species,occurs", "Wren,0").weights(None, None) == (pytest.approx(np.array([0, -inf, 0])), ())


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("species,odds", "Wern,1", r"2: species='Wern' is not among the 3 species, did you mean 'Wren'"),
        ("species,odds", "Wren,x", "2: odds='x' is not a number"),
        ("species,odds", "Wren,-1", "2: odds=-1 must be 0 or more"),
        ("species,odds", "Wren,nan", "2: odds='nan' is not a finite number"),
        ("species,odds", "Wren,", "2: needs one of occurs, odds, prevalence, has none"),
        ("species,odds,occurs", "Wren,1,1", "2: needs one of occurs, odds, prevalence, has occurs, odds"),
        ("species,occurs", "Wren,0.5", "2: occurs=0.5 must be 0 or 1"),
        ("species,prevalence", "Wren,1.5", r"2: prevalence=1.5 must be in \[0, 1\]"),
        ("species,prevalence", "Wren,0.5", "2: prevalence=0.5 of Wren cannot be used"),
        ("species,month,odds", "Wren,13,1", "2: month='13' must be from 1 to 12"),
        ("species,month,odds", "Wren,May,1", "2: month='May' must be from 1 to 12"),
        ("species,hour,odds", "Wren,18-24,1", "2: hour='18-24' must be from 0 to 23, or a range such as 23-1"),
        ("species,mnth,odds", "Wren,1,1", "1: unknown column 'mnth', did you mean 'month'"),
        ("odds", "1", "1: missing column species"),
    ],
)
def test_a_wrong_row_is_named(read, header, row, message):
    with pytest.raises(AnnotationError, match=r"occurs\.csv:" + message):
        read(header, row)


def test_two_rows_for_the_same_are_refused(read):
    with pytest.raises(AnnotationError, match="3: line 2 already speaks of Wren there and then"):
        read("species,hour,odds", "Wren,18-5,2", "Wren,3,4")
