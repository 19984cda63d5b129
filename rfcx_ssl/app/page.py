"""The page: Gradio's controls around one view, which page.html, page.css and page.js draw. All it does is asked of the desk."""

import json
import logging
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rfcx_ssl.app.desk import Desk, Seat
from rfcx_ssl.app.session import Session, Subject
from rfcx_ssl.audio.find import AUDIO_SUFFIXES
from rfcx_ssl.errors import ConfigError, RfcxError, require_extra

logger = logging.getLogger(__name__)
ALL = "all species"
HERE = Path(__file__).parent
WELCOME = "Pick a recording, or drop one."
TITLE = "rfcx-ssl: who is calling?"


def open_gradio() -> Any:  # noqa: ANN401 - an optional package
    """The package, told to report nothing to anybody before it loads.

    Raises:
        MissingExtraError: it is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    return require_extra("gradio", "app")


def make_page(session: Session, labels: Mapping[str, str], annotator: str = "") -> Any:  # noqa: ANN401 - gradio's Blocks
    """The page; ``labels`` say what the list calls each recording of the shelf."""
    gr = open_gradio()
    desk, names = Desk(session), session.species.names
    acts = Acts(desk)
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=(3600, 86400)) as page:
        seat = gr.State(Seat(annotator=annotator))
        with gr.Row():
            pick = gr.Dropdown(
                [(label, name) for name, label in labels.items()],
                value=None,
                label="Recording",
                scale=3,
                elem_id="rx-pick",
            )
            drop = gr.File(
                label="Or drop one here", file_types=sorted(AUDIO_SUFFIXES), height=130, scale=2, elem_id="rx-drop"
            )
            who = gr.Textbox(annotator, label="Who listens", max_lines=1, scale=1, min_width=120, elem_id="rx-who")
        view = gr.HTML(
            value="", media="", message=WELCOME, species=list(names),
            html_template=(HERE / "page.html").read_text(encoding="utf-8"),
            css_template=(HERE / "page.css").read_text(encoding="utf-8"),
            js_on_load=(HERE / "page.js").read_text(encoding="utf-8"), apply_default_css=False, elem_id="rx-view",
        )  # fmt: skip
        with gr.Row():
            species = gr.Dropdown([ALL, *names], value=ALL, label="Threshold of", scale=2)
            threshold = gr.Slider(
                0.01, 0.99, acts.threshold(Seat(), ALL), step=0.01, label="Threshold", scale=3, elem_id="rx-threshold"
            )
            tuned = gr.Button("As tuned", scale=1, min_width=100, size="sm")

        shown = [seat, view]
        quiet = {"api_visibility": "private", "show_progress": "minimal"}

        def answered(result: tuple[Seat, dict[str, Any]]) -> tuple[Seat, Any]:
            return result[0], gr.HTML(**result[1])

        def on_act(old: Seat, name: str, event: Any) -> tuple[Seat, Any, Any]:  # noqa: ANN401 - annotated below
            new, changes = answered(acts.act(old, name, event._data))
            here = new.recording.name if new.recording is not None else None
            return new, changes, here if here in labels else None

        on_act.__annotations__["event"] = gr.EventData
        view.act(on_act, [seat, who], [*shown, pick], **quiet)
        pick.input(lambda old, name: answered(acts.pick(old, name)), [seat, pick], shown, **quiet)
        drop.upload(lambda old, path: (*answered(acts.take(old, path)), None), [seat, drop], [*shown, pick], **quiet)
        threshold.input(
            lambda old, of, value: answered(acts.set_threshold(old, of, value)), [seat, species, threshold], shown,
            trigger_mode="always_last", **quiet,
        )  # fmt: skip
        tuned.click(lambda old, of: answered(acts.set_threshold(old, of, None)), [seat, species], shown, **quiet).then(
            acts.threshold, [seat, species], threshold, **quiet
        )
        species.input(acts.threshold, [seat, species], threshold, **quiet)
        who.input(
            lambda old, name: answered(acts.name(old, name)), [seat, who], shown, trigger_mode="always_last", **quiet
        )
    return page


class Acts:
    """Acts of the desk as the page asks for them: what cannot be done is said on the page, and nothing else changes."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def pick(self, seat: Seat, name: str | None) -> tuple[Seat, dict[str, str]]:
        """Open a recording of the shelf."""
        return self._do(seat, lambda: self.desk.pick(seat, name or ""))

    def take(self, seat: Seat, path: str | None) -> tuple[Seat, dict[str, str]]:
        """Open an uploaded file; ``path`` is one that gradio has checked."""
        return self._do(seat, lambda: self.desk.take(seat, Path(path or "")))

    def name(self, seat: Seat, annotator: str) -> tuple[Seat, dict[str, str]]:
        """Say who listens."""
        new = Seat(**{**vars(seat), "annotator": annotator})
        return self._do(new, lambda: new) if seat.recording is not None else (new, {})

    def set_threshold(self, seat: Seat, species: str, value: float | None) -> tuple[Seat, dict[str, str]]:
        """Move a threshold; None is as tuned."""
        of = None if species == ALL else species
        return self._do(seat, lambda: self.desk.set_threshold(seat, of, value))

    def threshold(self, seat: Seat, species: str) -> float:
        """Where the slider stands."""
        return round(self.desk.threshold(seat, species), 2)

    def act(self, seat: Seat, annotator: str, data: Any) -> tuple[Seat, dict[str, str]]:  # noqa: ANN401 - what a browser sent
        """An act of the view; ``data`` are checked here."""
        here = Seat(**{**vars(seat), "annotator": annotator})
        return self._do(seat, lambda: self._act(here, data if isinstance(data, Mapping) else {}))

    def _act(self, seat: Seat, data: Mapping[str, Any]) -> Seat:
        try:
            if data["do"] == "move":
                return self.desk.move(seat, _second(data, "at_s"))
            if data["do"] == "next":
                return self.desk.next_question(seat)
            number = data["question"]
            times_s = _second(data, "start_s"), _second(data, "end_s")
            about = Subject(str(data["species"]), *times_s, None if number is None else int(number))
            said = str(data["said"])
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"the page asked for something that is none of its acts ({error!r})") from None
        seat = self.desk.answer(seat, said, about)
        return seat if about.question is None else self.desk.after_question(seat)

    def _do(self, seat: Seat, act: Callable[[], Seat]) -> tuple[Seat, dict[str, str]]:
        try:
            new = act()
            same = (new.recording, new.at_s) == (seat.recording, seat.at_s)
            shown = self.desk.show(new, with_media=not same)
        except (RfcxError, OSError) as error:
            if isinstance(error, OSError):  # such as a full disk: no visitor can mend that
                logger.warning("%s", error)
            return seat, {"message": self.desk.session.public(str(error))}
        timeline = shown["timeline"]
        changes = {"value": _plain(timeline), "message": "; ".join(timeline["notes"])}
        return new, changes | ({"media": _plain(shown["media"])} if "media" in shown else {})


def _second(data: Mapping[str, Any], key: str) -> float:
    if not math.isfinite(value := float(data[key])):
        raise ValueError(f"{key}={value}")
    return value


def _plain(values: Mapping[str, Any]) -> str:
    """JSON that no reader takes for markup, whatever names are in it."""
    return json.dumps(values, allow_nan=False).replace("<", "\\u003c")
