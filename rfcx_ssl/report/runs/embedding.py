"""The map of what a model hears: vectors of marked calls in two dimensions, colored by species and by site."""

import html
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.detection.embed import embed_recording
from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.errors import require_extra
from rfcx_ssl.evaluation.reference import Reference
from rfcx_ssl.inference.embedder import Embedder, open_embedder
from rfcx_ssl.progress import Progress
from rfcx_ssl.report.markup import paragraph

MOST_POINTS = 1500
FEWEST_POINTS = 8
MOST_GROUPS = 20  # with a mark of their own; the others share one
SIZE = 480  # pixels
_SHAPES = (
    "M-4 0A4 4 0 1 0 4 0A4 4 0 1 0-4 0Z",  # circle
    "M-3.6-3.6H3.6V3.6H-3.6Z",
    "M0-4.8L4.6 3.6H-4.6Z",
    "M0-5L5 0L0 5L-5 0Z",
)
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """n vectors: of calls, or of recordings with one species."""

    what: str
    total: int  # there are; n of them were drawn
    vectors: FloatArray  # (n, D)
    species: list[str]
    sites: list[str | None]
    rows: NDArray[np.int64]  # recording of each


def embedding_parts(
    model: str, source: str, reference: Reference, device: str, seed: int, show: Progress
) -> Iterator[str]:
    """Two maps of the same points, and how often the nearest neighbor is of the same species and site."""
    points = find_points(open_embedder(source, device=device), reference, seed, show)
    if len(points.vectors) < FEWEST_POINTS:
        yield paragraph(
            f"No map: it takes at least {FEWEST_POINTS} marked calls, or recordings with one species; there are {len(points.vectors)}."
        )
        return
    method, places = project(points.vectors, seed)
    drawn = (
        f"{len(points.vectors):,} of {points.total:,}, drawn at random"
        if points.total > len(points.vectors)
        else f"all {points.total:,}"
    )
    yield paragraph(
        f"What the head of {model} sees of {points.what} ({drawn}), {points.vectors.shape[1]} numbers each, brought to two by {method}. "
        "Near points sound alike to the model; distances between far groups mean nothing."
    )
    yield "<div class='panels' style='grid-template-columns:repeat(auto-fill,minmax(min(420px,100%),1fr))'>"
    yield _map("species", method, places, points, points.species)
    known = [site for site in points.sites if site is not None]
    if len(set(known)) > 1:
        yield _map("site", method, places, points, [site or "not known" for site in points.sites])
    else:
        yield paragraph("No map by site: recordings.csv names no two sites of these recordings.")
    yield "</div>"


def find_points(embedder: Embedder, reference: Reference, seed: int, show: Progress) -> Points:
    """Vectors of calls drawn at random; of recordings with one known species where nobody marked a call."""
    calls = [
        (row, call.start_s, call.end_s, call.species_id)
        for row, own in enumerate(reference.calls)
        for call in own
        if not call.weak
    ]
    if len(calls) >= FEWEST_POINTS:
        what = "marked calls"
    else:
        lone = (reference.truth & reference.known).sum(axis=1) == 1
        what = "recordings in which one species was marked"
        calls = [(row, 0.0, 0.0, int(reference.truth[row].argmax())) for row in np.flatnonzero(lone).tolist()]
    total = len(calls)
    if total > MOST_POINTS:
        chosen = np.random.default_rng(seed).choice(total, MOST_POINTS, replace=False)
        calls = [calls[place] for place in sorted(chosen.tolist())]
    vectors, kept = [], []
    by_row: dict[int, list[tuple[int, float, float, int]]] = {}
    for call in calls:
        by_row.setdefault(call[0], []).append(call)
    with TemporaryDirectory() as scratch:
        for done, (row, own) in enumerate(by_row.items()):
            show("map", done, len(by_row))
            recording = Recording(reference.recording_ids[row], str(Path(reference.paths[row]).absolute()))
            events = [(start_s, end_s) for _, start_s, end_s, _ in own] if what == "marked calls" else None
            result = embed_recording(embedder, row, recording, events, 8, Path(scratch))
            found = result.arrays.get("embeddings")
            if found is None or not len(found):
                continue
            vectors.append(np.asarray(found if events else found.mean(axis=0, keepdims=True), np.float64))
            kept += own
    names = reference.space.species_names
    return Points(
        what,
        total,
        np.concatenate(vectors) if vectors else np.zeros((0, embedder.dim)),
        [names[call[3]] for call in kept],
        [reference.sites[call[0]] for call in kept],
        np.array([call[0] for call in kept], np.int64),
    )


def project(vectors: FloatArray, seed: int) -> tuple[str, FloatArray]:
    """Name of the method and places (n, 2): UMAP where it is installed, else t-SNE (van der Maaten and Hinton, 2008)."""
    scaled = (vectors - vectors.mean(axis=0)) / np.maximum(vectors.std(axis=0), 1e-9)
    if find_spec("umap") is not None:
        umap = require_extra("umap").UMAP(n_neighbors=min(15, len(scaled) - 1), random_state=seed)
        return "UMAP", np.asarray(umap.fit_transform(scaled), np.float64)
    from sklearn.manifold import TSNE

    perplexity = max(2.0, min(30.0, (len(scaled) - 1) / 3))
    start = "pca" if min(scaled.shape) >= 2 else "random"
    return "t-SNE", np.asarray(
        TSNE(perplexity=perplexity, init=start, random_state=seed).fit_transform(scaled), np.float64
    )


def neighbor_share(vectors: FloatArray, groups: Sequence[object], rows: NDArray[np.int64]) -> tuple[float, float]:
    """Share of points whose nearest neighbor (cosine), in another recording, is of their group; and the share by chance."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    likeness = unit @ unit.T
    other = rows[:, None] != rows[None, :]
    _, numbers = np.unique(np.array([str(group) for group in groups]), return_inverse=True)
    same = numbers[:, None] == numbers[None, :]
    asked = other.any(axis=1)
    if not asked.any():
        return math.nan, math.nan
    nearest = np.where(other, likeness, -np.inf).argmax(axis=1)
    hits = same[np.arange(len(vectors)), nearest][asked].mean()
    chance = ((same & other).sum(axis=1)[asked] / other.sum(axis=1)[asked]).mean()
    return float(hits), float(chance)


def _map(by: str, method: str, places: FloatArray, points: Points, groups: Sequence[str]) -> str:
    order = [name for name, _ in Counter(groups).most_common()]
    marks = {name: place for place, name in enumerate(order[:MOST_GROUPS])}
    low, high = places.min(axis=0), places.max(axis=0)
    inside = 10 + (places - low) / np.maximum(high - low, 1e-9) * (SIZE - 20)
    dots = [
        f"<path {_look(marks.get(group))} transform='translate({x:.1f} {SIZE - y:.1f})'><title>{html.escape(group)}</title></path>"
        for (x, y), group in zip(inside.tolist(), groups, strict=True)
    ]
    share, chance = neighbor_share(points.vectors, groups, points.rows)
    told = (
        "All points are of one recording, so that none has a neighbor elsewhere."
        if math.isnan(share)
        else f"The nearest neighbor in another recording is of the same {by} for {share:.0%} of the points; by chance {chance:.0%}."
    )
    counts = Counter(groups)
    rest = len(order) - len(marks)
    items = "".join(
        f"<li><button type='button' aria-pressed='false' data-of='{place}'><svg viewBox='-7 -7 14 14' aria-hidden='true'>"
        f"<path {_look(place)}/></svg> {html.escape(name)} ({counts[name]})</button></li>"
        for name, place in marks.items()
    )
    items += (
        f"<li><svg viewBox='-7 -7 14 14' aria-hidden='true'><path {_look(None)}/></svg> {rest} others</li>"
        if rest
        else ""
    )
    alt = html.escape(f"{method} map of {len(groups)} points by {by}, {len(order)} in all. {told}", quote=True)
    return (
        f"<figure class='scatter'><figcaption>By {by}</figcaption><svg role='img' aria-label='{alt}' viewBox='0 0 {SIZE} {SIZE}'>"
        f"{''.join(dots)}</svg><p class='note'>{html.escape(told)} A press on a name shows its points alone.</p>"
        f"<ul class='key'>{items}</ul></figure>"
    )


def _look(place: int | None) -> str:
    """Color and shape of a group; gray crosses for those that share one."""
    if place is None:
        return "class='dot c6' data-group='other' d='M-3-3L3 3M3-3L-3 3' style='stroke:var(--c);stroke-width:1.2'"
    return f"class='dot c{place % 6}' data-group='{place}' d='{_SHAPES[place // 6 % len(_SHAPES)]}'"
