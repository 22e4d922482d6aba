"""python -m tests.tracking.picture [STUDY]: takes reports/reference/mlflow.png anew, from the records of a study here.

Chromium is the machine's, as for the tests of the report; MLflow's server is started for the picture and ended.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from playwright.sync_api import sync_playwright

from ablations import sync
from tests.tracking.servers import serving

REFERENCE = Path("results/reference"), Path("reports/reference")
PLACE = REFERENCE[1] / "mlflow.png"
WIDTH, HEIGHT = 1600, 720  # pixels


def take(study: str, place: Path) -> None:
    """Writes the picture of the saved view of `study` to `place`."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        places = ["--results", str(REFERENCE[0]), "--reports", str(REFERENCE[1])]
        said = StringIO()
        with redirect_stdout(said):
            code = sync.main([study, *places, "--mlflow-uri", server])
        if code:
            sys.exit(code)
        photograph(said.getvalue().split()[-1], place)


def photograph(address: str, place: Path) -> None:
    """Opens the runs at `address`, and writes what is seen once the table is there."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(address, timeout=300_000)
        page.get_by_role("button", name="Close", exact=True).first.click(timeout=300_000)  # the assistant's panel
        page.get_by_text("matching runs").wait_for(timeout=300_000)
        page.wait_for_timeout(3000)  # until the columns have their widths
        page.screenshot(path=place)
        browser.close()


if __name__ == "__main__":
    take(sys.argv[1] if sys.argv[1:] else "cifar10-factorial", PLACE)
