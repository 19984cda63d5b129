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
