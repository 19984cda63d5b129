"""What was found, as a table on the terminal, as probe.json and table.csv, and as one page."""

import dataclasses
import html
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import rfcx_ssl
from rfcx_ssl.files import write_csv, write_text
from rfcx_ssl.pictures.panels import save_figure
from rfcx_ssl.probing.earlier import set_aside
from rfcx_ssl.probing.figures import section_figures
from rfcx_ssl.probing.settings import ALL, Bench, Measured, ProbeRequest, Section, Verdict
from rfcx_ssl.progress import say
from rfcx_ssl.provenance import versions
from rfcx_ssl.report.page import frame_page, inline_png, made_by
from rfcx_ssl.training.journal import plain

READING = """
<p>Every encoder is frozen; one small head (a softmax mix of its layers, prototypes per species) learns from the labelled
frames of the training recordings and is scored on the held-out ones, on exactly the frames that somebody judged.
<b>AP</b>: average precision over frames, mean over the species that have present and absent held-out frames; <b>AUROC</b>
alike. <b>box AUC</b>: AUROC of whole boxes, by their surest frame, as fine-tuning validates
(box_auc). All are means over three seeds. <b>random weights</b>: the same architecture, never trained, three draws.
<b>log-mel frames</b>: the same head on a spectrogram. <b>class prior</b>: the same score for every frame.
Intervals are over recordings, drawn with replacement 1000 times, the same draws for both systems. They say what other
recordings of this kind could have changed, and nothing about other pretraining runs or other random draws: the three draws
are taken as they are, and where their own range reaches the encoder's score, the verdict is weaker than its interval.
Several prototypes per species are not linear: random weights gain more from them than a trained encoder does, so the same
encoder is worth more under linear heads. <b>best layer</b> is of those, the highest on these very held-out frames, and
therefore a little flattered. <b>cosine</b> near 1: all frames
look alike. <b>rank</b>: in how many directions frames differ.</p>
"""
HEADERS = ("system", "AP", "AUROC", "box AUC", "over random weights", "over log-mel", "best layer", "cosine", "rank")


def print_sections(request: ProbeRequest, sections: Sequence[Section], console: Console) -> None:
    """A table per section, and a sentence per encoder."""
    for section in sections:
        table = Table(title=f"{request.data.resolve().name}: {describe(section.bench)}")
        for place, header in enumerate(HEADERS):
            table.add_column(header, justify="left" if place == 0 else "right", no_wrap=True)
        for cells in table_rows(section):
            table.add_row(*cells)
        console.print(table)
        for line in sentences(section):
            say(console, line)


def describe(bench: Bench) -> str:
    """What is judged, in a line."""
    return (
        f"{bench.held_out_frames} judged frames of {1000 * bench.frame_s:.0f} ms and {bench.held_out_boxes} judged boxes "
        f"in {bench.held_out_recordings} held-out recordings, {len(bench.judged)} of {len(bench.output_names)} outputs can be judged, "
        f"{bench.train_recordings} training recordings, {bench.sample_rate_hz} Hz"
    )


def sentences(section: Section) -> Iterator[str]:
    """The verdicts, the use of codes, and what could not be judged."""
    for verdict in section.verdicts:
        yield f"{verdict.encoder.name}: {verdict.sentence}"
        if (codes := verdict.codebook) is not None:
            use = ", ".join(
                f"{share:.0%} of {codes.num_codes} codes used, perplexity {perplexity:.1f}"
                for share, perplexity in zip(codes.share_used, codes.perplexity, strict=True)
            )
            yield f"{verdict.encoder.name}: codebooks: {use}"
    bench = section.bench
    if left := [name for k, name in enumerate(bench.output_names) if k not in bench.judged]:
        yield f"not judged, for want of present or absent held-out frames: {', '.join(left)}"


def table_rows(section: Section) -> list[list[str]]:
    """Text under ``HEADERS``: encoders, controls, floors."""
    gaps = {verdict.encoder.name: (verdict.over_random, verdict.over_mel) for verdict in section.verdicts}
    rows = []
    for row in section.rows:
        over = [f"{gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]" for gap in gaps.get(row.name, ())]
        best = int(np.argmax(row.per_layer))
        last = row.health[-1]
        rows.append(
            [
                row.name,
                f"{row.score.ap:.3f}",
                f"{row.score.auc:.3f}",
                "-" if math.isnan(row.box_auc) else f"{row.box_auc:.3f}",
                *(over or ["", ""]),
                f"{row.layer_names[best]} {row.per_layer[best]:.3f}",
                f"{last.cosine:.2f}",
                f"{last.effective_rank:.1f}",
            ]
        )
    floors = section.bench.floors
    for name, value in (("chance (floor)", floors.chance), ("class prior (floor)", floors.prior)):
        rows.append([name, f"{value:.3f}", "0.500", "0.500", *[""] * 5])
    return rows


def write_sections(request: ProbeRequest, sections: Sequence[Section]) -> None:
    """Write probe.json, table.csv, the pictures and report.html into the request's folder; other results are kept."""
    request.out.mkdir(parents=True, exist_ok=True)
    content = {
        "rfcx_ssl": rfcx_ssl.__version__,
        "command": request.command,
        "data": str(request.data),
        "overrides": list(request.overrides),
        "versions": versions(),
        "sections": [section_values(section) for section in sections],
    }
    findings = json.dumps(plain(content), indent=1, allow_nan=False) + "\n"
    set_aside(request.out, findings)
    write_text(request.out / "probe.json", findings)
    write_csv(request.out / "table.csv", CSV_COLUMNS, csv_rows(sections))
    parts = []
    for number, section in enumerate(sections):
        head = "".join(f"<th>{html.escape(header)}</th>" for header in HEADERS)
        body = "".join(_html_row(cells) for cells in table_rows(section))
        said = "".join(f"<div class='gate {_mood(v)}'>{html.escape(v.encoder.name)}: {html.escape(v.sentence)}</div>"
                       for v in section.verdicts)  # fmt: skip
        parts += [f"<p class='lead'>{html.escape(describe(section.bench))}</p>", said]
        parts += [f"<div class='wide'><table><tr>{head}</tr>{body}</table></div>"]
        parts += [f"<p>{html.escape(line)}</p>" for line in list(sentences(section)) if "not judged" in line]
        for heading, figure in section_figures(section).items():
            name = heading.lower().replace(" ", "-") + (f"-{number + 1}" if number else "")
            save_figure(figure, request.out / f"{name}.png")
            parts += [f"<h2>{html.escape(heading)}</h2>", inline_png(figure, heading)]
    title = f"Was the pretraining worth it? {request.data.resolve().name}"
    write_text(request.out / "report.html", frame_page(title, parts, READING, made_by(request.command)))


CSV_COLUMNS = (
    "sample_rate_hz", "frame_s", "system", "role", "updates", "ap", "auc", "box_auc", "chance_ap", "prior_ap",
    "over_random", "over_random_low", "over_random_high", "over_mel", "over_mel_low", "over_mel_high",
)  # fmt: skip


def csv_rows(sections: Sequence[Section]) -> Iterator[list[Any]]:
    """Rows of table.csv; empty where something does not apply."""
    for section in sections:
        bench = section.bench
        verdicts = {verdict.encoder.name: verdict for verdict in section.verdicts}
        for row in section.rows:
            verdict = verdicts.get(row.name)
            gaps = [""] * 6 if verdict is None else [*verdict.over_random, *verdict.over_mel]
            updates = "" if verdict is None or verdict.num_updates is None else verdict.num_updates
            cells = [bench.sample_rate_hz, bench.frame_s, row.name, row.role, updates, row.score.ap, row.score.auc]
            cells += ["" if math.isnan(row.box_auc) else row.box_auc]
            cells += [bench.floors.chance, bench.floors.prior, *gaps]
            yield [f"{cell:.6g}" if isinstance(cell, float) else cell for cell in cells]


def section_values(section: Section) -> dict[str, Any]:
    """Everything in a section as plain values; per-output values by the output's name."""
    bench = section.bench
    described = dataclasses.asdict(bench) | {
        "judged": [bench.output_names[k] for k in bench.judged],
        "floors": bench.floors._asdict(),
        "labelled_recordings": {_budget(number): count for number, count in bench.labelled_recordings.items()},
    }
    encoders = [
        {
            "source": verdict.source,
            "updates": verdict.num_updates,
            **_system_values(verdict.encoder, bench),
            "verdict": verdict.sentence,
            "over_random_weights": verdict.over_random._asdict(),
            "over_log_mel": verdict.over_mel._asdict(),
            "controls": list(verdict.controls),
            "codebooks": None if verdict.codebook is None else verdict.codebook._asdict(),
        }
        for verdict in section.verdicts
    ]
    return {"bench": described, "encoders": encoders, "controls": [_system_values(r, bench) for r in section.controls]}


def _system_values(row: Measured, bench: Bench) -> dict[str, Any]:
    per_output = {
        bench.output_names[k]: {"ap": row.score.ap_per_output[k], "auc": row.score.auc_per_output[k]}
        for k in bench.judged
    }
    return {
        "system": row.name,
        "role": row.role,
        "ap": row.score.ap,
        "auc": row.score.auc,
        "box_auc": row.box_auc,
        "ap_per_seed": row.score.ap_per_seed.tolist(),
        "head_steps": row.steps,
        "per_output": per_output,
        "ap_by_labels_per_species": {_budget(number): ap for number, ap in row.by_labels.items()},
        "layer_weights": list(row.layer_weights),
        "layers": [
            {"layer": name, "linear_ap": ap, **health._asdict()}
            for name, ap, health in zip(row.layer_names, row.per_layer, row.health, strict=True)
        ],
    }


def _budget(number: int) -> str:
    return "all" if number == ALL else str(number)


def _mood(verdict: Verdict) -> str:
    return "holds" if verdict.over_random.low > 0 else "fails"


def _html_row(cells: Sequence[str]) -> str:
    kind = " class=floor" if "(floor)" in cells[0] else ""
    return f"<tr{kind}>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
