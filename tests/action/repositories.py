"""The repositories that the scenarios run in."""

import re
import shutil
import subprocess

from workflow import ROOT

# Seconds to measure, so that the machinery around it is what is tested.
TINY = """
weights = "generated"
[suites.tiny]
device = "cpu"
models = ["./tiny"]
context-lengths = [1]
generated-length = 4
warmup-length = 2
runs = 2
threads = 1
"""


def git(path, *args):
    done = subprocess.run(["git", "-c", "user.name=e2e", "-c", "user.email=e2e@example.com", *args],
                          cwd=path, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"git {args}: {done.stderr}")
    return done.stdout.strip()


def init(path):
    git(path, "init", "--initial-branch", "main")
    git(path, "add", "--all")
    git(path, "commit", "--message", "all")
    git(path, "remote", "add", "origin", "https://github.com/acme/candle")
    return git(path, "rev-parse", "HEAD")


def commit(path, message):
    git(path, "add", "--all")
    git(path, "commit", "--allow-empty", "--message", message)
    return git(path, "rev-parse", "HEAD")


def the_action(path):
    """What the Action needs of this repository, as a clone of its own: act copies it whole, build outputs and all."""
    path.mkdir(parents=True)
    for name in [".github", "action.yml", "Cargo.toml", "Cargo.lock"]:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, path / name)
    init(path)
    return path


def own(path):
    """This repository without its sources: the workflows, and something small to measure."""
    the_action(path)
    shutil.rmtree(path / ".git")
    (path / "bench-diff.toml").write_text(TINY)
    shutil.copytree(ROOT / "tests/models/qwen2.5-tiny", path / "tiny")
    (path / ".gitignore").write_text("target\n.bench-diff\n")
    init(path)
    return path


def shown(page, number=0):
    """A workflow that a page of the documentation shows."""
    found = re.findall(r"^( *)```yaml\n(.*?)^ *```", (ROOT / page).read_text(), re.S | re.M)
    indent, text = found[number]
    text = "".join(line[len(indent):] if line.strip() else line for line in text.splitlines(keepends=True))
    return text.replace("uses: OWNER/bench-diff", "uses: acme/bench-diff")


def user(path, config=TINY, page="docs/action.md"):
    """A repository whose workflow is the one that the page shows."""
    (path / ".github/workflows").mkdir(parents=True)
    # Nothing is built here: what is measured is bench-diff itself, or what a scenario names.
    text = re.sub(r"candle: \..*", "allow-unrelated: true", shown(page))
    (path / ".github/workflows/benchmark.yml").write_text(text)
    (path / "bench-diff.toml").write_text(config)
    (path / ".gitignore").write_text("*.count\nbench-results\n.bench-diff\n")
    if config == TINY:
        shutil.copytree(ROOT / "tests/models/qwen2.5-tiny", path / "tiny")
    init(path)
    return path
