"""From a model and folders to a page that is served: on this machine alone, unless somebody asks for more."""

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rfcx_ssl.annotations import default_label_map
from rfcx_ssl.annotations.exchange import DETECTION_COLUMNS
from rfcx_ssl.app.page import make_page, open_gradio
from rfcx_ssl.app.session import Session
from rfcx_ssl.app.shelf import Shelf
from rfcx_ssl.detection.hear import AS_TUNED, Ear
from rfcx_ssl.detection.writers import check_label_texts
from rfcx_ssl.errors import AnnotationError, ConfigError
from rfcx_ssl.files import iter_csv, unguard_cell
from rfcx_ssl.inference.open import open_scorer
from rfcx_ssl.review.answers import answer_rows
from rfcx_ssl.review.grammar import check_names
from rfcx_ssl.review.journal import Journal
from rfcx_ssl.review.plan import read_plan
from rfcx_ssl.review.review import read_detections_record

logger = logging.getLogger(__name__)
LOOPBACK = ("127.0.0.1", "localhost", "::1")
EVENTS = "events.csv"


@dataclass(frozen=True, kw_only=True)
class AppRequest:
    """What the page is about and who may see it."""

    model: str
    folders: Sequence[Path] = ()
    out: Path = Path("answers")
    detections: Path | None = None
    review: Path | None = None
    annotator: str = ""
    weight: float = 1.0
    device: str = "auto"
    host: str = LOOPBACK[0]
    port: int = 7860
    upload_mb: int = 200


def make_session(request: AppRequest) -> Session:
    """The session that a request asks for.

    Raises:
        RfcxError: the model, a folder, the detection or the review cannot be used.
    """
    settings = AS_TUNED if request.detections is None else read_detections_record(request.detections).settings
    scorer = open_scorer(
        request.model,
        backend=settings.backend,
        device=request.device,
        windows=settings,
        activity_gate=settings.activity_gate,
    )
    check_label_texts(scorer.species.names)
    check_names(scorer.species.names)
    names = default_label_map(scorer.species)
    questions = [] if request.review is None else read_plan(request.review)
    for item in questions:
        try:
            answer_rows(item, "yes", names, annotator="")
        except AnnotationError as error:
            raise AnnotationError(f"{request.review}: {error}; is the review of another model?") from None
    journal = Journal(request.out.absolute(), names)
    session = Session(Ear((scorer,), settings), Shelf(request.folders), journal, questions, request.weight)
    if session.num_lost:
        logger.warning(
            "%d of %d questions of %s are about recordings in none of the folders, and are left out",
            session.num_lost, len(questions), request.review,
        )  # fmt: skip
    return session


def labels_of(session: Session, detections: Path | None) -> dict[str, str]:
    """What the list calls each recording: with the events that ``detections`` has of it, most events first."""
    path = None if detections is None else detections / EVENTS
    if path is None or not path.is_file():
        return {name: name for name in session.shelf.names}
    counts = Counter(unguard_cell(cells["recording"]) for _, cells in iter_csv(path, DETECTION_COLUMNS[:4], None))
    ordered = sorted(session.shelf.names, key=lambda name: -counts[name])
    return {name: f"{name} ({counts[name]} event{'' if counts[name] == 1 else 's'})" for name in ordered}


class Served(NamedTuple):
    """A page that answers."""

    page: Any  # gradio's Blocks
    url: str
    session: Session


def serve(model: str, folders: Sequence[str | Path] = (), **more: Any) -> Mapping[str, Any]:  # noqa: ANN401 - fields of AppRequest
    """Serve the page until Ctrl-C; ``more`` are fields of :class:`AppRequest`. The ``app.py`` of a Space calls this."""
    return serve_request(AppRequest(model=model, folders=tuple(map(Path, folders)), **more))


def serve_request(request: AppRequest) -> Mapping[str, Any]:
    """Serve the page that ``request`` describes until Ctrl-C; raises as :func:`open_page`."""
    with open_page(request) as served:
        journal = served.session.journal
        logger.info("open %s (Ctrl-C ends); answers go to %s", served.url, journal.table)
        served.page.block_thread()
        return {"out": request.out, "url": served.url, "marks": Counter(mark.state for mark in journal.marks())}


@contextmanager
def open_page(request: AppRequest) -> Iterator[Served]:
    """The page, served until the context ends.

    Nothing on the disk can be asked for by its path: sound and pictures travel inside the page, recordings are asked for by name,
    and of the paths that gradio serves all are closed but its own files and uploads.

    Raises:
        RfcxError: as :func:`make_session`; gradio is not installed; the port is taken.
    """
    gr = open_gradio()
    if request.host not in LOOPBACK:
        logger.warning(
            "--host %s: everybody who reaches this machine can hear the recordings of %s and answer in any name",
            request.host, ", ".join(map(str, request.folders)) or "visitors",
        )  # fmt: skip
    session = make_session(request)
    page = make_page(session, labels_of(session, request.detections), request.annotator)
    try:
        _, url, _ = page.launch(
            server_name=request.host,
            server_port=request.port,
            share=False,
            inbrowser=False,
            quiet=True,
            prevent_thread_lock=True,
            show_error=False,
            footer_links=[],
            run_history=False,
            allowed_paths=[],
            blocked_paths=[os.fspath(folder.resolve()) for folder in (*request.folders, request.out)],
            max_file_size=request.upload_mb << 20,
            ssr_mode=False,
            mcp_server=False,
            enable_monitoring=False,
            strict_cors=True,
            theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        )
    except OSError as error:
        raise ConfigError(f"--port {request.port}: cannot be served on {request.host} ({error})") from None
    try:
        yield Served(page, url, session)
    finally:
        page.close(verbose=False)
