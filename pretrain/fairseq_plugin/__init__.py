"""What this project adds to fairseq through ``common.user_dir``; stock fairseq-hydra-train does the training."""

from fairseq_plugin.gather import use_host_buffers
from fairseq_plugin.stop import install_graceful_stop

use_host_buffers()
install_graceful_stop()
