"""Look at every page of the built site in Chromium: accessible, and no wider than its window.

Usage: check-site.py FOLDER [PAGE...]

Every page is loaded in a frame of a desk's and of a phone's width, and asked for violations of the
rules of axe-core (https://github.com/dequelabs/axe-core). Exit code 1 if there are any.
"""

import argparse
import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import axe_core_python

SIZES = ((1280, 900), (390, 844))
TRIES = 3
"""Looks at a page that a busy machine does not show in time."""

AXE = Path(axe_core_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
LOOK = """<script>AXE</script><script>
window.addEventListener("load", async () => {
  const root = document.documentElement;
  const seen = await axe.run(document, { resultTypes: ["violations"] });
  const found = seen.violations.map((one) => `${one.id}: ${one.nodes[0].target.join(" ")}`);
  if (root.scrollWidth > root.clientWidth) found.push("wider than its window");
  parent.postMessage(found, "*");
});
</script></body>""".replace("AXE", AXE)
FRAMES = """<!DOCTYPE html><title>frames</title>
<script>
const told = {};
window.addEventListener("message", ({ data, source }) => {
  for (const frame of document.querySelectorAll("iframe")) {
    if (frame.contentWindow === source) told[frame.width] = data;
  }
  document.title = JSON.stringify(told);
});
</script>
"""


def look(browser: str, page: Path) -> dict[str, list[str]]:
    """List what is wrong with a page, by the width of its window in pixels."""
    checked, frames = (page.with_name(f"_{name}-{page.name}") for name in ("checked", "frames"))
    text = page.read_text(encoding="utf-8")
    checked.write_text(text.replace("</body>", LOOK), encoding="utf-8")
    shown = "".join(f'<iframe src="{checked.name}" width="{width}" height="{height}"></iframe>'
                    for width, height in SIZES)  # fmt: skip
    frames.write_text(FRAMES + shown, encoding="utf-8")
    with tempfile.TemporaryDirectory() as profile:
        run = subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu",
             "--allow-file-access-from-files", "--virtual-time-budget=100000",
             f"--user-data-dir={profile}", "--dump-dom", frames.as_uri()],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    checked.unlink()
    frames.unlink()
    title = html.unescape(re.search(r"<title>(.*?)</title>", run.stdout, re.S)[1])
    return json.loads(title) if title.startswith("{") else {}


def main() -> None:
    """Look at all pages, or at those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("pages", nargs="*")
    arguments = parser.parse_args()
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("neither chromium nor google-chrome is installed. Install one of them.")
    folder = arguments.folder.resolve()
    pages = [folder / name for name in arguments.pages] or sorted(folder.rglob("*.html"))
    wrong = 0
    for page in pages:
        if 'http-equiv="refresh"' in page.read_text(encoding="utf-8"):
            continue  # it sends the reader on
        for _ in range(TRIES):
            found = look(browser, page)
            if len(found) == len(SIZES):
                break
        name = page.relative_to(folder)
        lines = [f"{name} at {width}: {one}" for width, all_ in found.items() for one in all_]
        lines += [f"{name} at {width}: not seen" for width, _ in SIZES if str(width) not in found]
        wrong += len(lines)
        print("\n".join(lines) or f"{name}: nothing wrong", flush=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
