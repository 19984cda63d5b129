"""One file per verb of ``rfcx-ssl``: its arguments, and what it runs."""
