"""What this project adds to fairseq through ``common.user_dir``; stock fairseq-hydra-train does the training."""

import sys

from fairseq_plugin import task as task  # registers rainforest_audio_pretraining
from fairseq_plugin.gather import use_host_buffers
from fairseq_plugin.masks import seed_masks

use_host_buffers()
seed_masks()
if "fairseq_cli.train" in sys.modules:  # a training run: leave the signals of any other program alone
    from fairseq_plugin.stop import install_graceful_stop

    install_graceful_stop()
