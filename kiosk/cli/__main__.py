"""``python -m kiosk.cli``: the same as ``kiosk``, for where no script directory is on the path."""

from kiosk.cli import main

main(prog_name="kiosk")
