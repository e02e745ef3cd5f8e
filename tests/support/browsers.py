"""The browser that tests drive: Chromium as the machine has it. Nothing is ever downloaded."""

import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
USUAL = Path("/usr/bin/chromium")


def executable() -> str:
    """The browser's path; ``LookupError`` says how to get one."""
    if USUAL.exists():
        return str(USUAL)
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            return found
    raise LookupError("no Chromium on this machine: on Debian, apt-get install chromium (.ci/run does so)")
