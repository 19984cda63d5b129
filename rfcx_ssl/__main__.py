"""``python -m rfcx_ssl`` is the same as the console script ``rfcx-ssl``."""

from rfcx_ssl.cli import main

main()
