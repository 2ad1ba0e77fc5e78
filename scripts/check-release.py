"""Build wheel and sdist, and ask each a question in a clean environment of every Python at hand.

Usage: check-release.py [--out FOLDER] [PYTHON...]

The files are left in `out/release`. What they need comes from requirements.lock, with hashes; `pip
check` says whether their own metadata agrees. The answers must be those of this checkout.
"""

import argparse
import glob
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MINORS = (12, 13, 14)
QUESTION = ("query", "attention: gqa > mha", "--format", "json")
NAMES = "import bayesmeta as bm; [getattr(bm, name) for name in bm.__all__]; print(bm.__version__)"


def run(*words: str | Path, cwd: Path = ROOT) -> str:
    """Run a command that knows nothing of this checkout; return what it prints."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def find_pythons() -> list[str]:
    """Find one interpreter of every supported minor version; only those that start."""
    folder = os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
    found = []
    for minor in MINORS:
        paths = [
            f"python3.{minor}",
            *sorted(glob.glob(f"{folder}/versions/3.{minor}.*/bin/python")),
        ]
        for path in paths:
            if version_of(path) == f"3.{minor}":
                found.append(path)
                break
    return found


def version_of(python: str) -> str | None:
    """Ask an interpreter for its minor version; None where it does not start."""
    code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def build(out: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from it; check the metadata of both."""
    for old in out.glob("bayesmeta-*"):
        old.unlink()
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    return wheel, sdist


def try_python(python: str, files: tuple[Path, Path], *, expected: str) -> None:
    """Install each file into an environment of its dependencies alone, and ask it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(python, "-m", "venv", folder / "env")
        there = folder / "env" / "bin"
        pip = (there / "python", "-m", "pip", "--disable-pip-version-check", "--no-input", "-q")
        locked = ("--no-deps", "--require-hashes", "-r", ROOT / "requirements.lock")
        run(*pip, "install", *locked, cwd=folder)
        for file in files:
            run(*pip, "install", "--no-deps", "--no-build-isolation", file, cwd=folder)
            run(*pip, "check", cwd=folder)
            version = run(there / "python", "-c", NAMES, cwd=folder).strip()
            if run(there / "bayesmeta", *QUESTION, cwd=folder) != expected:
                raise SystemExit(f"{file.name} on {python} answers otherwise than this checkout.")
            run(*pip, "uninstall", "-y", "bayesmeta", cwd=folder)
            print(f"{file.name} on {version_of(python)}: version {version}, answers", flush=True)


def main() -> None:
    """Build, check, install, ask."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "release")
    parser.add_argument("pythons", nargs="*", metavar="PYTHON")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    files = build(asked.out)
    print(*(f"built {file.name}, {file.stat().st_size / 1e6:.1f} MB" for file in files), sep="\n")
    here = run(sys.executable, "-m", "bayesmeta.cli", *QUESTION)
    for python in asked.pythons or find_pythons():
        try_python(python, files, expected=here)


if __name__ == "__main__":
    main()
