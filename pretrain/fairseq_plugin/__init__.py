"""``common.user_dir=pretrain/fairseq_plugin``: the door to the package's plugin (rfcx_ssl/pretraining/plugin)."""

from rfcx_ssl.pretraining.plugin.install import install

install()
