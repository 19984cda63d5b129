"""What cards say of a pretrained encoder: the proof of its conversion, the health of its pretraining, what it learned from."""

from collections.abc import Iterator, Mapping

from rfcx_ssl.hub.card import NOT_RECORDED, bullets, cost, hashes, origin
from rfcx_ssl.hub.facts import EncoderFacts
from rfcx_ssl.hub.private import portable


def parity_and_health(encoder: EncoderFacts) -> list[str]:
    """Two bullets; what is missing is said."""
    return [bullets([f"Parity with fairseq: {_parity(encoder.parity)}", f"Pretraining: {_health(encoder)}"])]


def pretraining(encoder: EncoderFacts) -> Iterator[str]:
    """Data, time, code and hashes of a pretraining run."""
    run = encoder.pretraining
    if not run:
        yield (
            "Not recorded: the checkpoint was converted outside of its run folder, or by an earlier version. "
            "`pretrain/convert.py` on the checkpoint in its run folder records it."
        )
        return
    config = run.get("config") or {}
    wanted = (config.get("optimization") or {}).get("max_update", NOT_RECORDED)
    yield bullets(
        [
            f"Updates: {encoder.parity.get('num_updates', NOT_RECORDED)} of {wanted}",
            f"Contrastive loss by chance: {encoder.verdict.get('chance_bits', NOT_RECORDED)} bits",
            *cost(run.get("train_s"), run),
            *origin(run),
            "Every setting: `pretraining.json`",
        ]
    )
    yield "What it learned from, by hash of the manifests:"
    yield hashes(portable((run.get("data") or {}).get("sha256") or {"": NOT_RECORDED}))


def _parity(report: Mapping[str, object]) -> str:
    if not report:
        return NOT_RECORDED
    cases = report.get("cases")
    return (
        f"{'proved' if report.get('passed') else 'NOT reached'} on {len(cases) if isinstance(cases, list) else 0} waveforms; "
        f"largest difference of the last hidden state {report['max_abs_difference_last_hidden_state']:.1e}, of the features "
        f"{report['max_abs_difference_extractor_features']:.1e} (must be below {report['tolerance']:g}); checkpoint "
        f"`{report['checkpoint']}`, SHA-256 `{report['checkpoint_sha256']}`, {report['num_updates']} updates"
    )


def _health(encoder: EncoderFacts) -> str:
    verdict = encoder.verdict
    if not verdict:
        return f"its health is {NOT_RECORDED}"
    return f"{verdict['state']}: {portable(verdict['message'])}"
