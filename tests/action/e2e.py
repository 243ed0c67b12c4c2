"""The Action from a workflow to a comment, with no GitHub: act runs the workflows on this machine against an emulated
GitHub. `.ci/e2e-action` installs what this needs and starts it.

Usage: e2e.py [SCENARIO...]   (all, when none is named)
"""

import os
import pathlib
import shutil
import sys
import tempfile
import time

import bench
import emulated
import finding
import gate
import inputs
import leaks
import nightly
import others
import release
import repositories
from workflow import Runner, check

SCENARIOS = {
    f"{module.__name__}.{scenario.__name__}": scenario
    for module in (finding, inputs, gate, leaks, others, bench, release, nightly) for scenario in module.SCENARIOS
}


class World:
    def __init__(self, scratch):
        tools = pathlib.Path(os.environ["E2E_TOOLS"])
        self.scratch, self.binary = scratch, pathlib.Path(os.environ["BENCH_DIFF_BIN"]).resolve()
        self.github = emulated.GitHub(scratch, tools)
        action = repositories.the_action(scratch / "action")
        self.runner = Runner(scratch, self.github, tools, self.binary, action)


def play(names):
    """The scenarios in a world of their own."""
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="bench-diff-e2e-"))
    world = None
    try:
        world = World(scratch)
        for name in names:
            started = time.monotonic()
            try:
                SCENARIOS[name](world)
            except SystemExit as failed:
                raise Failed(name) from failed
            print(f"e2e: {name}: {time.monotonic() - started:.0f} s")
        violations = world.github.violations()
        check(not violations, f"requests that GitHub's API description doesn't know: {violations}")
    finally:
        if world:
            world.github.stop()
        if os.environ.get("E2E_KEEP"):
            print(f"kept: {scratch}")
        else:
            shutil.rmtree(scratch, ignore_errors=True)


class Failed(Exception):
    """A scenario that did; what it says is its cause."""


def main(names):
    unknown = set(names) - set(SCENARIOS)
    if unknown:
        raise SystemExit(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    left = list(names or SCENARIOS)
    # On a busy machine, act now and then loses what a step that ends at once has said. Alone, a scenario that fails
    # gets one more chance.
    try:
        play(left)
    except Failed as failed:
        name = str(failed)
        print(f"{failed.__cause__}\ne2e: {name}: once more")
        try:
            play([name])
            play(left[left.index(name) + 1:])
        except Failed as again:
            raise again.__cause__ from None
    print("e2e: all passed")


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    main(sys.argv[1:])
