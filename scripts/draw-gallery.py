"""Draw the pictures of gallery pages whose code is more than one call, into figures/.

Usage: draw-gallery.py
"""

import contextlib
import re
import shutil
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("side-by-side", "own-table")
CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def draw(name: str) -> None:
    """Run the code of a page in an empty folder, and keep the picture that it leaves there."""
    (code,) = CODE.findall((ROOT / f"docs/gallery/{name}.md").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        exec(code, {})
        shutil.copy(f"{name}.png", ROOT / "figures")


if __name__ == "__main__":
    for page in PAGES:
        draw(page)
