"""The page as a browser sees it, and what its server gives to nobody."""

import csv
import importlib.util
import json
import re
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

from rfcx_ssl.data import load_corpus
from rfcx_ssl.data.settings import load_data_settings
from rfcx_ssl.species import SpeciesTable, label_space

pytest.importorskip("gradio")
# its server leaves sockets and event loops for Python to close
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
spec = importlib.util.spec_from_file_location("browser", Path(__file__).parent / "programs" / "browser.py")
browser = importlib.util.module_from_spec(spec)
spec.loader.exec_module(browser)

RATE_HZ = 8_000
SPECIES = ("frog <script>alert(1)</script>", "owl & co", "bat")
SECRET = "nobody may read this"
PATIENCE_S = 60


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


def test_a_visit(shop, page, tmp_path):
    """Pick, look, move the threshold, accept by keyboard; the row is one that training reads."""
    assert page.load(shop.url, 1280) == []
    wait_for(page, "document.querySelector('#rx-pick input')")
    pick(page, "<b>first")
    wait_for(page, "document.querySelector('.rx-picture')?.naturalWidth > 100")
    page.picture(Path("/tmp/work/app_1280.png"))
    print(page.ask(NUM_EVENTS), page.ask("document.querySelector('.rx-message').textContent"))
