"""What this project adds to fairseq; stock ``fairseq-hydra-train`` does the training.

``common.user_dir`` may name this folder (in an installed package) or ``pretrain/fairseq_plugin`` (in a checkout, a door to
it). fairseq imports such a folder under its bare name: then, and only then, the plugin installs itself.
"""

if __name__ == "plugin":
    from rfcx_ssl.pretraining.plugin.install import install

    install()
