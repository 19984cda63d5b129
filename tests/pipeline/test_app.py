"""The page as a browser sees it, and what its server gives to nobody."""

import asyncio
import csv
import gc
import importlib.util
import json
import socket
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import numpy as np
import pytest
import soundfile

from rfcx_ssl.species import SpeciesTable, label_space

pytest.importorskip("gradio")
pytestmark = pytest.mark.filterwarnings("ignore")  # an error for each warning of its server would end its threads
spec = importlib.util.spec_from_file_location("browser", Path(__file__).parent / "programs" / "browser.py")
browser = importlib.util.module_from_spec(spec)
spec.loader.exec_module(browser)

RATE_HZ = 8_000
SPECIES = ("frog <script>alert(1)</script>", "owl & co", "bat")
SECRET = "nobody may read this"
PATIENCE_S = 30


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def shop(tmp_path_factory, tiny_model):
    """A served page over two recordings; a third one is a link out of the folder."""
    from rfcx_ssl.app.serve import AppRequest, open_page  # only here: gradio is installed

    root = tmp_path_factory.mktemp("app")
    rng = np.random.default_rng(0)
    (root / "card").mkdir()
    for name in ("card/<b>first", "card/second", "outside"):
        soundfile.write(root / f"{name}.wav", 0.1 * rng.standard_normal(6 * RATE_HZ), RATE_HZ)
    (root / "card" / "link.wav").symlink_to(root / "outside.wav")
    for folder in (root, root / "card"):
        (folder / "secret.txt").write_text(SECRET)
    tiny_model(RATE_HZ, space=label_space(SpeciesTable.of_names(SPECIES))).save_pretrained(root / "model")
    request = AppRequest(
        model=str(root / "model"), folders=[root / "card"], out=root / "answers", port=free_port(), device="cpu",
        upload_mb=1,
    )  # fmt: skip
    with open_page(request) as served:
        yield SimpleNamespace(root=root, served=served, url=served.url.rstrip("/"))
    for left in gc.get_objects():  # gradio leaves a loop open, whose sockets another test would be blamed for
        if issubclass(type(left), asyncio.BaseEventLoop) and not left.is_running():  # (a proxy may be dead)
            left.close()


@pytest.fixture(scope="module")
def page(shop, tmp_path_factory):
    found = browser.find_browser()
    if found is None:
        pytest.skip("no browser is installed")
    with browser.open_page(found, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def wait_for(page, expression):
    """The value of a JavaScript expression once it is true."""
    end = time.monotonic() + PATIENCE_S
    while not (value := page.ask(expression)):
        assert time.monotonic() < end, f"{expression} never came; {page.ask('document.body.innerText')[-600:]}"
        time.sleep(0.1)
    return value


CLICK_CHOICE = """
(name => { const one = [...document.querySelectorAll('[role=option]')].find(option => option.innerText.includes(name));
  if (one) one.dispatchEvent(new MouseEvent('mousedown', {bubbles: true})); return !!one })
"""
SLIDE = """
(value => { const slider = document.querySelector('#rx-threshold input[type=range]');
  slider.value = value; slider.dispatchEvent(new Event('input', {bubbles: true})); return slider.value })
"""
NUM_EVENTS = "document.querySelectorAll('.rx-item').length"


def pick(page, name):
    page.ask("document.querySelector('#rx-pick input').focus()")
    page.ask("document.querySelector('#rx-pick input').click()")
    wait_for(page, f"{CLICK_CHOICE}({json.dumps(name)})")


def test_a_visit(shop, page):
    """Pick, look, move the threshold, accept by keyboard; the row is one that training reads."""
    assert page.load(shop.url, 1280) == []
    wait_for(page, "!!document.querySelector('#rx-pick input')")
    pick(page, "<b>first")
    wait_for(page, "document.querySelector('.rx-picture')?.naturalWidth > 100")
    before = page.ask(NUM_EVENTS)
    page.ask(f"{SLIDE}(0.99)")
    wait_for(page, f"{NUM_EVENTS} === 0")
    page.ask(f"{SLIDE}(0.01)")
    wait_for(page, f"{NUM_EVENTS} >= {max(before, 1)}")
    page.ask("document.activeElement.blur()")
    page.press("ArrowRight")
    wait_for(page, "!!document.querySelector('.rx-item[aria-selected=true]')")
    page.press("a")
    assert "who listens" in wait_for(page, "document.querySelector('.rx-message').textContent")
    page.ask("document.querySelector('#rx-who input, #rx-who textarea').focus()")
    for key in "ann":
        page.press(key)
    page.ask("document.activeElement.blur()")
    page.press("a")
    wait_for(page, "[...document.querySelectorAll('.rx-item')].some(item => item.innerText.includes('present'))")
    with (shop.root / "answers" / "answers.csv").open(encoding="utf-8") as lines:
        (row,) = csv.DictReader(lines)
    assert (row["state"], row["annotator"], row["file"]) == (
        "present",
        "ann",
        str(shop.root / "card" / "<b>first.wav"),
    )
    assert row["label"] in SPECIES
    elsewhere = [url for url in page.requests() if not url.startswith((shop.url, "data:", "blob:"))]
    assert elsewhere == []  # no fonts, no scripts, no counters of other people
    assert page.ask("document.querySelectorAll('.rx b, .rx script').length") == 0


ASKED = json.dumps("0:02.0–0:02.6")  # noqa: RUF001 - an en dash is meant
PLACES = """
((...parts) => { const view = document.querySelector('.rx-view'); view.scrollIntoView({block: 'center', behavior: 'instant'});
  const frame = view.getBoundingClientRect();
  return parts.map(part => [frame.left + part * frame.width, frame.top + frame.height / 2]) })
"""
PLAYS = """
window.heard = []; HTMLMediaElement.prototype.play = (play => function () {
  window.heard.push([this.currentTime, this]); return play.call(this) })(HTMLMediaElement.prototype.play)
"""


def drag(page, start_s, end_s, length_s=6.0):
    """Mark a stretch of the recording, all of which is shown, with the mouse; what the page then asks about."""
    page.drag(*page.ask(f"{PLACES}({start_s / length_s}, {end_s / length_s})"))
    return page.ask("document.querySelector('.rx-subject').textContent")


def test_a_marked_stretch_is_played_and_answered(shop, page):
    """A drag marks what lies under it, boxes or none; space plays just that; the answer is about it; Esc drops it."""
    assert page.load(shop.url, 1280) == []
    wait_for(page, "!!document.querySelector('#rx-pick input')")
    pick(page, "second")
    wait_for(page, "document.querySelector('.rx-picture')?.naturalWidth > 100")
    page.ask(f"{SLIDE}(0.01)")  # events cover all of it
    wait_for(page, f"{NUM_EVENTS} > 0")
    assert drag(page, 4.5, 3.0).startswith("0:03.0–0:04.5: ")  # noqa: RUF001 - backwards, too
    page.press("Escape")
    assert "Choose an event" in page.ask("document.querySelector('.rx-subject').textContent")
    assert drag(page, 2.0, 2.6).startswith("0:02.0–0:02.6: ")  # noqa: RUF001
    page.ask(PLAYS)
    page.press(" ")
    wait_for(page, "document.querySelector('.rx-cursor').style.display === 'block'")
    wait_for(page, "document.querySelector('.rx-cursor').style.display === 'none' && window.heard[0][1].paused")
    (start_s, end_s) = page.ask("[window.heard[0][0], window.heard[0][1].currentTime]")
    assert start_s == pytest.approx(2.0, abs=0.02) and 2.6 <= end_s < 3.5
    page.ask("document.querySelector('#rx-who input, #rx-who textarea').focus()")
    page.press("b")
    page.ask("document.activeElement.blur()")
    species = page.ask("document.querySelector('.rx-species').value")
    page.press("r")
    wait_for(page, "[...document.querySelectorAll('.rx-item')].some(item => item.innerText.includes('absent'))")
    page.ask(f"{SLIDE}(0.99)")  # now by itself
    wait_for(page, f"{NUM_EVENTS} === 1 && document.querySelector('.rx-item').innerText.startsWith({ASKED})")
    with (shop.root / "answers" / "answers.csv").open(encoding="utf-8") as lines:
        (row,) = [row for row in csv.DictReader(lines) if row["annotator"] == "b"]
    assert (row["label"], row["state"]) == (species, "absent") and row["file"].endswith("second.wav")
    assert (float(row["start_s"]), float(row["end_s"])) == pytest.approx(
        (2.0, 2.6), abs=0.06
    )  # a hundredth of the picture


def test_uploads_are_heard_or_refused_by_name(shop, page, tmp_path):
    """A recording that is dropped is shown; one that is too large and one that is no audio are named, and change nothing."""
    own, large, text = (tmp_path / f"{name}.wav" for name in ("my own", "too large", "a text"))
    soundfile.write(own, 0.1 * np.random.default_rng(1).standard_normal(4 * RATE_HZ), RATE_HZ)
    large.write_bytes(bytes(2 << 20))  # upload_mb=1
    text.write_text("no audio")
    assert page.load(shop.url, 1280) == []
    wait_for(page, "!!document.querySelector('#rx-drop input')")
    page.choose_file("#rx-drop input", large)
    wait_for(page, "/exceed.* 1.0 MB: .too large.wav/i.test(document.body.innerText)")
    page.choose_file("#rx-drop input", own)
    heard = "document.querySelector('.rx-picture')?.naturalWidth > 100 && document.querySelector('.rx-picture').alt"
    assert wait_for(page, heard).startswith("Spectrogram of my own, 0:00.0 to 0:04.0")
    page.ask("document.querySelector('#rx-drop [aria-label=Clear]').click()")
    wait_for(page, "!!document.querySelector('#rx-drop input')")
    page.choose_file("#rx-drop input", text)
    message = wait_for(page, "document.querySelector('.rx-message').textContent")
    assert message.startswith("a text.wav: cannot be read as audio")
    assert page.ask("document.querySelector('.rx-picture').alt").startswith("Spectrogram of my own")


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(shop, page, width):
    page.load(shop.url, width)
    wait_for(page, "!!document.querySelector('#rx-pick input')")
    pick(page, "second")
    wait_for(page, "document.querySelector('.rx-picture')?.naturalWidth > 100")
    assert page.ask("document.documentElement.scrollWidth") <= width


def ask(url, data=None, **headers):
    """Status and body of a request."""
    try:
        with urlopen(Request(url, data, headers), timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")


@pytest.mark.parametrize(
    "path", ["secret.txt", "card/secret.txt", "card/second.wav", "card/link.wav", "card/../secret.txt"]
)
def test_no_path_leads_to_a_file(shop, path):
    place = str(shop.root / path)
    dots = "../" * 12 + place.lstrip("/")
    for address in (place, quote(place, safe=""), dots, quote(dots, safe=""), "/" + place, place.replace("/", "%2f")):
        for door in ("/gradio_api/file=", "/file=", "/gradio_api/file/", "/static/", "/assets/", "/theme.css/../"):
            status, body = ask(f"{shop.url}{door}{address}")
            assert status >= 400 or (SECRET not in body and "RIFF" not in body), (door, address)


def test_a_path_in_the_place_of_an_upload_is_refused(shop):
    """What a browser says that it has uploaded is only taken from where uploads are."""
    config = json.loads(ask(f"{shop.url}/config")[1])
    (drop,) = (part["id"] for part in config["components"] if part["type"] == "file")
    (number,) = (one["id"] for one in config["dependencies"] if [drop, "upload"] in map(list, one["targets"]))
    for name in ("outside.wav", "card/second.wav", "secret.txt"):
        file = {"path": str(shop.root / name), "meta": {"_type": "gradio.FileData"}}
        sent = {"data": [None, file], "fn_index": number, "session_hash": "thief", "event_data": None}
        status, body = ask(
            f"{shop.url}/gradio_api/queue/join", json.dumps(sent).encode(), **{"Content-Type": "application/json"}
        )
        if status == 200:
            status, body = ask(f"{shop.url}/gradio_api/queue/data?session_hash=thief")
            assert '"success":false' in body.replace(" ", ""), body[-600:]
        assert "spectrogram" not in body and "data:image" not in body and SECRET not in body


def test_uploads_have_a_limit_and_no_path_of_their_own(shop):
    def upload(name, size):
        head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        return ask(f"{shop.url}/gradio_api/upload", head + b"0" * size + b"\r\n--x--\r\n", **kind)

    assert upload("big.wav", 2 << 20)[0] == 413
    status, body = upload("../../../evil.wav", 10)
    assert status >= 400 or ".." not in json.loads(body)[0]
    assert list(shop.root.rglob("evil*")) == []


def test_the_server_listens_on_this_machine_alone_and_reports_nothing(shop):
    page = shop.served.page
    assert page.server_name == "127.0.0.1" and not page.share and not page.analytics_enabled
    assert page.allowed_paths == []
