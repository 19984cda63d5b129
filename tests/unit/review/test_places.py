"""Sites and hours from a table, from names, and from nobody."""

import pytest

from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.review.places import find_places

RECORDINGS = [Recording(name, f"{name}.wav") for name in ("CREEK_20240501_235900", "night/b", "c")]


def test_names_say_site_and_hour():
    places = find_places(RECORDINGS)
    assert places.site == ("CREEK", None, None)
    assert [places.hour(0, at_s) for at_s in (0.0, 59.0, 61.0)] == [23, 23, 0]
    assert places.hour(1, 0.0) is None


def test_a_table_wins(tmp_path):
    table = tmp_path / "sites.csv"
    table.write_text("recording_id,site\nCREEK_20240501_235900,north\nnight/b,south\n")
    assert find_places(RECORDINGS, table).site == ("north", "south", None)
    table.write_text("recording_id,site\nelsewhere,north\n")
    with pytest.raises(ConfigError, match="names none of the 3 recordings"):
        find_places(RECORDINGS, table)
