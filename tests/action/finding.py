"""Where the program comes from."""

import os
import re
import shutil
import subprocess

import repositories
from workflow import ROOT, check


def finding(world):
    """Where the program comes from: the order, and that a wrong checksum is the end."""
    scratch = world.scratch / "finding"
    action, tools = scratch / "action", scratch / "tools"
    repositories.the_action(action)
    tools.mkdir()
    output = scratch / "output"
    # A download that is not what was released.
    (tools / "curl").write_text('#!/bin/bash\nwhile [[ "$1" != --output ]]; do shift; done; echo evil > "$2"\n')
    (tools / "curl").chmod(0o755)

    def find(path, **inputs):
        output.write_text("")
        environment = {
            "PATH": f"{path}:/usr/local/bin:/usr/bin:/bin", "HOME": str(scratch), "GITHUB_OUTPUT": str(output),
            "RUNNER_TOOL_CACHE": str(scratch / "cache"), "ACTION_REPOSITORY": "acme/bench-diff",
            "WITH_BINARY_PATH": "", "WITH_VERSION": "", "WITH_BUILD": "never", **inputs,
        }
        script = action / ".github/actions/scripts/find.sh"
        done = subprocess.run([script], env=environment, cwd=scratch, capture_output=True, text=True)
        return done.returncode, done.stdout, output.read_text()

    check(find(world.binary.parent)[2] == f"path={world.binary}\n", "a program of the right version on PATH is taken")
    check(find(tools, WITH_BINARY_PATH=str(world.binary))[2] == f"path={world.binary}\n", "the named program is taken")
    check(find(world.binary.parent, WITH_VERSION="9.9.9")[0] == 2, "another version is not")
    log = scratch / "cargo.log"
    shims = scratch / "shims"
    shims.mkdir()
    for name in ["cargo", "nvcc"]:
        shutil.copy(ROOT / "tests/action/shims/cargo", shims / name)
    building = {"WITH_BUILD": "auto", "E2E_CARGO_LOG": str(log), "E2E_PROGRAM": str(world.binary)}
    check(find(tools, WITH_BUILD="auto")[0] == 2, "nothing can be built without cargo")
    code, said, written = find(f"{shims}", **building)
    built = written.removeprefix("path=").strip()
    check(code == 0 and os.access(built, os.X_OK) and built.startswith(str(scratch / "cache")), f"it is built: {said}")
    check("--release --locked" in log.read_text() and log.read_text().endswith("--features cuda\n"), "for CUDA, where nvcc is")
    check(find(shims, **building)[2] == written and log.read_text().count("cargo build") == 1, "and kept")
    with open(action / "action.yml", "a") as file:
        file.write("# What a tag such as v1 names has changed.\n")
    check(find(shims, **building)[2] != written and log.read_text().count("cargo build") == 2, "other sources are built")
    (shims / "nvcc").unlink()
    check(find(shims, **building)[2] != written, "without nvcc, another one is built")
    check(log.read_text().count("cargo build") == 3 and not log.read_text().endswith("cuda\n"), "for the CPU")
    for inputs in [{"WITH_BINARY_PATH": "/no\n::set-output name=path::x"}, {"WITH_VERSION": "1; id"}, {"WITH_BUILD": "x"}]:
        code, said, written = find(tools, **inputs)
        check(code == 2 and written == "" and said.count("\n") == 1, f"a bad input is one line: {said}")
    version = re.search(r'^version = "(.*)"', (action / "Cargo.toml").read_text(), re.M).group(1)
    with open(action / ".github/actions/scripts/checksums.txt", "a") as checksums:
        for target in ["", *(f"-sm{capability}" for capability in range(50, 130))]:
            checksums.write(f"{'0' * 64}  bench-diff-{version}-{os.uname().machine}-linux{target}.tar.gz\n")
    code, said, written = find(tools, WITH_BUILD="cpu")
    check(code == 2 and "checksum" in said and written == "", f"a wrong checksum is the end: {said}")


SCENARIOS = [finding]
