"""Everything the plugin changes in a fairseq process, at once."""

import sys

from rfcx_ssl.pretraining.plugin import mel_model as mel_model  # registers the model wav2vec2_mel
from rfcx_ssl.pretraining.plugin import task as task  # registers the task rainforest_audio_pretraining
from rfcx_ssl.pretraining.plugin.gather import use_host_buffers
from rfcx_ssl.pretraining.plugin.masks import seed_masks


def install() -> None:
    """Host buffers, seeded masks and, in a training run, a graceful stop; call once per process."""
    use_host_buffers()
    seed_masks()
    if "fairseq_cli.train" in sys.modules:  # a training run: leave the signals of any other program alone
        from rfcx_ssl.pretraining.plugin.stop import install_graceful_stop

        install_graceful_stop()
