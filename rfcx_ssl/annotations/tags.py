"""Tags: statements that a species is somewhere in a stretch of a recording, by somebody who did not say where."""

from rfcx_ssl.annotations.table import Annotations, Event
from rfcx_ssl.species.space import LabelSpace


def without_answered_tags(annotations: Annotations, space: LabelSpace) -> Annotations:
    """The same without the tags in whose window a present box of the same output lies, in whole or in part.

    Such a box says where the call is, so that the tag has nothing left to say.
    """
    table = annotations.table
    if not (table["weak"] & (table["state"] == "present")).any():
        return annotations
    names = table["recording_id"].tolist()  # sorted, as the events of one recording after the other are
    events = [event for name in dict.fromkeys(names) for event in annotations.events(name)]
    outputs = [space.output_of(event.species_id, event.songtype_id) for event in events]
    rows = list(zip(names, outputs, events, strict=True))
    boxes: dict[tuple[str, int], list[Event]] = {}
    for name, output, event in rows:
        if event.present and not event.weak:
            boxes.setdefault((name, output), []).append(event)

    def is_answered(name: str, output: int, tag: Event) -> bool:
        own = boxes.get((name, output), ())
        return any(box.start_s < tag.end_s and tag.start_s < box.end_s for box in own)

    kept = [not (event.is_tag and is_answered(name, output, event)) for name, output, event in rows]
    return Annotations(table[kept], annotations.complete)
