"""``python -m gradstep`` is ``gradstep``."""

from gradstep.cli.main import main

main()
