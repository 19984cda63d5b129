"""Before anything is heard: list the recordings, plan, learn what the prevalence says, open again what has changed."""

import os
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from rich.console import Console

from rfcx_ssl.detection.assemble import ModelFacts
from rfcx_ssl.detection.journal import Journal, OtherFormatError, Part, parts_of
from rfcx_ssl.detection.listing import Listing
from rfcx_ssl.detection.own_files import remove_files_of
from rfcx_ssl.detection.plan import differences, refuse_other, wanted_plan
from rfcx_ssl.detection.recording_table import open_recording_table
from rfcx_ssl.detection.recordings import is_url
from rfcx_ssl.detection.request import DetectRequest
from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.score_rules import check_prior, learn_prior, plain_prior
from rfcx_ssl.detection.settings import CLIPS, PICTURES
from rfcx_ssl.detection.sources import iter_recordings
from rfcx_ssl.detection.work import Job, about_models, clip_scores, open_models
from rfcx_ssl.errors import AudioError, RunError
from rfcx_ssl.inference.load import model_folder
from rfcx_ssl.progress import say
from rfcx_ssl.species.prevalence import NONE


class Preparation:
    """What the first process in a folder does before it hears, and one that joins others."""

    def __init__(self, request: DetectRequest, console: Console) -> None:
        self.request, self.console = request, console
        self.out = request.job.out
        self.wanted = _wanted(request.job)  # before a folder is made: the model may not be there

    def alone(self, journal: Journal) -> None:
        """List and plan, alone in the folder."""
        job = self.request.job
        journal.remove_leftovers()
        wanted, made = self.wanted, self._made(journal)
        if made is not None:
            wanted = {**wanted, "places": self._places(journal, made["total"])}
            if self.request.redo and differences(made, wanted):
                remove_files_of(self._kept(journal, made, parts_of(made)), self.out)
                made = None
        if made is None:
            journal.forget()
            wanted = self.wanted
            made = {**wanted, "runs": [], "total": 0, **about_models(job)}
        refuse_other(made, wanted, self.out)
        with Listing(journal.listing_path) as listing:
            listing.update(iter_recordings(self.request.sources, self.request.lists, spool=journal.folder))
            missing = self.request.tables.check(
                ModelFacts.of(made), ((row.recording.name, row.recording.path) for row in listing)
            )
            if missing:
                say(
                    self.console,
                    f"warning: {missing} of {len(listing)} recordings are not in {self.request.tables.places}",
                )
            if len(listing) > made["total"]:
                made["runs"].append(made["total"])
                made["total"] = len(listing)
            if "prior" not in made:
                made["prior"] = self._prior(listing)
        made["places"] = self._places(journal, made["total"])
        journal.write_plan(made)
        with Listing(journal.listing_path) as listing:
            self._hear_again(journal, made, listing)

    def _places(self, journal: Journal, total: int) -> str | None:
        """A hash of what the table of recordings says of the first ``total``: more rows for new ones change nothing.
        None where scores do not depend on it.
        """
        job = self.request.job
        if job.places is None or job.settings.occurrence is None:
            return None
        with Listing(journal.listing_path) as listing, open_recording_table(job.places) as table:
            return table.digest((row.recording.name, row.recording.path) for row in islice(listing, total))

    def _kept(self, journal: Journal, made: Mapping[str, Any], parts: Sequence[Part]) -> Iterator[Result]:
        """Results of parts as far as they can be read."""
        species = ModelFacts.of(made).species
        for part in parts:
            with suppress(RunError):  # they are going to be dropped
                yield from journal.kept(part, species)

    def _made(self, journal: Journal) -> dict[str, Any] | None:
        """The plan that is there, unless it is to be replaced whatever it says."""
        try:
            return journal.read_plan()
        except OtherFormatError:
            if not self.request.redo:
                raise
            return None

    def _hear_again(self, journal: Journal, made: Mapping[str, Any], listing: Listing) -> None:
        """Open the parts again whose files have changed, and those of which a file could not be reached.

        Raises:
            RunError: files have changed since they were heard, and nobody said ``--redo``.
        """
        parts = parts_of(made)

        def reopen(part: Part) -> None:
            remove_files_of(self._kept(journal, made, [part]), self.out)
            journal.reopen(part)

        for part in journal.unreached(parts):
            if any(_may_be_there(listing, index) for index in journal.lost(part)):
                reopen(part)
        firsts = [part.first for part in parts]
        for index in listing.changed():
            part = parts[bisect_right(firsts, index) - 1]
            if index >= part.first + journal.heard(part):
                continue
            if not self.request.redo:
                (row,) = listing.rows(index, 1)
                raise RunError(f"{row.recording.path}: has changed since it was heard; hear it again with --redo")
            reopen(part)
        listing.accept()

    def _prior(self, listing: Listing) -> list[float] | None:
        """What the prevalence adds to the log odds, learned from recordings all over the listing."""
        job, settings = self.request.job, self.request.job.settings
        if settings.prevalence == NONE:
            return None
        check_prior(open_models(job), settings)
        count = min(settings.prevalence_recordings, len(listing))
        say(
            self.console,
            f"prevalence={settings.prevalence}: listening to {count} recordings first, to scale scores by",
        )
        places = evenly(count, len(listing))
        scores = clip_scores(job, [row for place in places for row in listing.rows(place, 1)])
        if not len(scores):
            raise AudioError(f"prevalence={settings.prevalence}: none of {count} recordings can be heard")
        return plain_prior(learn_prior(open_models(job), settings, scores))

    def join(self, journal: Journal) -> None:
        """Others are at work here: share it."""
        made = journal.read_plan()
        if made is None:
            raise RunError(
                f"--out {self.out}: another process that began to list recordings here has died; start again"
            )
        refuse_other(made, {**self.wanted, "places": self._places(journal, made["total"])}, self.out)
        say(
            self.console,
            f"{self.out}: others are at work here; sharing it (recordings that are new are heard another time)",
        )


def evenly(most: int, total: int) -> list[int]:
    """Places of at most ``most`` of ``total`` things that follow each other, spread over all of them."""
    count = min(most, total)
    return [number * total // count for number in range(count)]


def _wanted(job: Job) -> dict[str, Any]:
    """The plan that a command asks for."""
    made = {PICTURES: job.pictures, CLIPS: job.clips}
    keep = {*job.keep, *(name for name, wanted in made.items() if wanted)}
    return wanted_plan([model_folder(model) for model in job.models], job.settings, keep)


def _may_be_there(listing: Listing, index: int) -> bool:
    """Whether hearing a recording that could not be reached is worth another try."""
    return any(is_url(row.recording.path) or os.path.exists(row.recording.path) for row in listing.rows(index, 1))  # noqa: PTH110 - a name of any bytes
