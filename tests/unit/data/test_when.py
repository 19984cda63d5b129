from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfcx_ssl.data.when import recorded_at, recorded_on
from rfcx_ssl.errors import AnnotationError

MOMENT = datetime(2023, 4, 15, 5, 30)
LAYOUTS = ("%Y%m%d_%H%M%S", "%Y-%m-%dT%H-%M-%S", "%Y%m%d%H%M%S", "%Y_%m_%d_%H_%M_%S", "%Y.%m.%d %H.%M.%S")


@pytest.mark.parametrize(
    "name",
    [
        "20230415_053000",
        "20230415T053000",
        "20230415_0530",
        "2023-04-15T05-30-00",
        "2023-04-15_05-30",
        "2023-04-15 05:30:00",
        "2023-04-15_05h30m00s",
        "SITE1_20230415_053000",
        "SITE1_0+1_20230415_053000_000",
        "plot 7/2022/RIO-2023-04-15_05-30",
        "2023-04-15_05-30/part_3",
        "99999999_20230415_053000",  # eight digits that are no date come first
        "643A3658",  # AudioMoth's hexadecimal seconds
    ],
)
def test_date_and_time_of_a_name(name):
    assert recorded_at(name) == MOMENT and recorded_on(name) == MOMENT.date()


@pytest.mark.parametrize("name", ["20230415", "SITE_2023-04-15", "2023-04-15/rec_1", "20230415_001", "20230415_9930"])
def test_a_name_with_a_date_alone_has_a_day_and_no_time(name):
    assert recorded_at(name) is None and recorded_on(name) == date(2023, 4, 15)


@pytest.mark.parametrize(
    "name", ["", "rec00", "07e1d27b8", "20231345_053000", "120230415", "1823-04-15", "2023/04/15"]
)
def test_a_name_without_a_date_says_nothing(name):
    assert recorded_at(name) is None and recorded_on(name) is None


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2099, 12, 31)), st.sampled_from(LAYOUTS), st.sampled_from(("", "A_"))
)
def test_every_moment_is_read_back_from_every_layout(moment, layout, prefix):
    moment = moment.replace(microsecond=0)
    assert recorded_at(prefix + moment.strftime(layout)) == moment


@pytest.mark.parametrize(
    "row,expected",
    [
        ({"datetime": "2023-04-15T05:30:00"}, MOMENT),
        ({"datetime": "2023-04-15 05:30"}, MOMENT),
        ({"datetime": "2023-04-15T05:30:00-04:00"}, MOMENT),
        ({"date": "2023-04-15", "time": "05:30"}, MOMENT),
        ({"date": "2023-04-15", "time": ""}, None),
        ({"date": "2023-04-15"}, None),
        ({"site": "a", "date": "", "datetime": ""}, datetime(2021, 1, 2, 3, 4, 5)),
    ],
)
def test_the_table_comes_before_the_name(row, expected):
    name = "20210102_030405"
    assert recorded_at(name, row) == expected
    assert recorded_on(name, row) == (expected or MOMENT).date()


@pytest.mark.parametrize(
    "row,message",
    [
        ({"date": "15/04/2023"}, r"recording r1: date='15/04/2023' in recordings.csv is no date: write 2023-04-15$"),
        ({"datetime": "dawn"}, r"recording r1: datetime='dawn' .* write 2023-04-15 05:30:00$"),
        ({"date": "2023-04-15", "time": "25:00"}, r"recording r1: time='25:00' .* is no time of day"),
    ],
)
def test_a_cell_that_is_no_date_is_named(row, message):
    with pytest.raises(AnnotationError, match=message):
        recorded_at("r1", row)
