"""Names on the hub, and its errors in a line."""

import pytest

from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.hub_id import hub_complaint, split_revision


def test_a_revision_follows_the_id_and_paths_have_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "frogs@home").mkdir()
    assert split_revision("USER/NAME@v1.0") == ("USER/NAME", "v1.0")
    assert split_revision("USER/NAME") == ("USER/NAME", None)
    assert split_revision("frogs@home") == ("frogs@home", None)
    for wrong in ("USER/NAME@", "@v1"):
        with pytest.raises(CheckpointError, match="need an id before @ and a revision after it"):
            split_revision(wrong)


class Answer:
    def __init__(self, status):
        self.status_code = status


class HfHubHTTPError(OSError):
    def __init__(self, status):
        super().__init__(f"{status} Client Error.\n\nfor url")
        self.response = Answer(status)


class ConnectError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (HfHubHTTPError(401), "not logged in"),
        (HfHubHTTPError(403), "needs the right to it on USER/NAME"),
        (HfHubHTTPError(404), "no such model or revision"),
        (HfHubHTTPError(500), "500 Client Error"),
        (ConnectError("[Errno 111] refused"), "cannot be reached"),
        (ValueError("strange\nmore"), "strange"),
    ],
)
def test_an_error_says_what_to_do_also_below_another(error, said):
    try:
        try:
            raise error
        except type(error) as cause:
            raise RuntimeError("Error while uploading 'model.safetensors' to the Hub.") from cause
    except RuntimeError as outer:
        wrapped = outer
    assert said in hub_complaint(error, "USER/NAME")
    if said not in ("strange", "500 Client Error"):
        assert said in hub_complaint(wrapped, "USER/NAME")
    assert "\n" not in hub_complaint(wrapped, "USER/NAME")
