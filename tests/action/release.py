"""A release, from a tag to a pull request with checksums and baselines."""

import hashlib
import json
import platform
import re
import subprocess

import repositories
from emulated import REPOSITORY
from workflow import check


class Release:
    """release.yml from a tag to a pull request with checksums and baselines; and again, with sessions measured anew."""

    def __init__(self, world):
        self.world, self.scratch = world, world.scratch
        self.workspace, self.origin = self.scratch / "released", self.scratch / "origin.git"
        repositories.own(self.workspace)
        version = re.search(r'^version = "(.*)"', (self.workspace / "Cargo.toml").read_text(), re.M).group(1)
        self.version, self.tag = version, f"v{version}"
        self.git("init", "--quiet", "--bare", "--initial-branch", "main", str(self.origin))
        self.git("remote", "set-url", "origin", str(self.origin))
        self.git("tag", self.tag)
        self.git("push", "--quiet", "origin", "main", self.tag)

    def run(self):
        self.refuse_another_checksum()
        self.release()
        first = self.state()
        sums = self.show(".github/actions/scripts/checksums.txt").splitlines()[1:]
        kept = self.scratch / "releases" / self.tag
        check(len(sums) == 5, f"a checksum for each program: {sums}")
        for line in sums:
            digest, name = line.split()
            check(hashlib.sha256((kept / name).read_bytes()).hexdigest() == digest, f"the checksum of {name} is right")
        files = self.git("ls-tree", "-r", "--name-only", f"baselines-{self.tag}", "baselines", cwd=self.origin).split()
        check(len(files) == 1 and files[0].startswith(f"baselines/tiny/releases/{self.tag}/"), f"the baselines: {files}")
        baseline = json.loads(self.show(files[0]))
        check((len(baseline["sessions"]), baseline["label"]) == (1, self.tag), "a session of the release")
        self.download(sums, kept)
        self.release()
        check(self.state() == first, f"a second run changes nothing: {first} {self.state()}")
        self.git("branch", "--force", "main", f"baselines-{self.tag}", cwd=self.origin)
        self.world.github.call("PATCH", f"/repos/acme/candle/pulls/{first[1][0]}", {"state": "closed"})
        self.release()
        check(self.state()[1] == [], "nor does one after the pull request was merged")

    def refuse_another_checksum(self):
        """What has been released isn't released anew with other contents."""
        before = self.git("rev-parse", "main", cwd=self.origin)
        sums = self.workspace / ".github/actions/scripts/checksums.txt"
        kept = sums.read_text()
        file = f"bench-diff-{self.version}-{platform.machine()}-linux.tar.gz"
        sums.write_text(f"{kept}{'0' * 64}  {file}\n")
        repositories.commit(self.workspace, "another checksum")
        self.git("push", "--quiet", "origin", "main")
        jobs = self.world.runner.run("push", {"ref": f"refs/tags/{self.tag}"}, self.workspace, ".github/workflows/release.yml")
        failed = [name for name, job in jobs.items() if job.result == "failure"]
        check(len(failed) == 1 and f"has another checksum for {file}" in jobs[failed[0]].log, f"it is refused: {failed}")
        self.git("reset", "--quiet", "--hard", before)
        self.git("push", "--quiet", "--force", "origin", "main")

    def release(self):
        jobs = self.world.runner.run("push", {"ref": f"refs/tags/{self.tag}"}, self.workspace, ".github/workflows/release.yml")
        for name, job in jobs.items():
            check(job.result == "success", f"{name} of the release: {job.log}")

    def state(self):
        """The branch, the open pull requests for it, and the releases."""
        pulls = self.world.github.call("GET", "/repos/acme/candle/pulls?state=open")
        mine = [pull["number"] for pull in pulls if pull["head"]["ref"] == f"baselines-{self.tag}"]
        releases = [release["tag_name"] for release in self.world.github.call("GET", "/repos/acme/candle/releases")]
        return self.git("rev-parse", f"baselines-{self.tag}", cwd=self.origin), mine, releases

    def download(self, sums, kept):
        """What the pull request adds is what find.sh needs."""
        action, tools, output = self.scratch / "found", self.scratch / "found-tools", self.scratch / "found-output"
        repositories.the_action(action)
        (action / ".github/actions/scripts/checksums.txt").write_text("\n".join(sums) + "\n")
        tools.mkdir()
        (tools / "curl").write_text(
            f'#!/bin/bash\nwhile [[ "$1" != --output ]]; do shift; done; cp "{kept}/$(basename "$2")" "$2"\n')
        (tools / "curl").chmod(0o755)
        output.write_text("")
        done = subprocess.run([action / ".github/actions/scripts/find.sh"], cwd=self.scratch, capture_output=True, text=True, env={
            "PATH": f"{tools}:/usr/bin:/bin", "HOME": str(self.scratch), "GITHUB_OUTPUT": str(output),
            "RUNNER_TOOL_CACHE": str(self.scratch / "found-cache"), "ACTION_REPOSITORY": "acme/bench-diff",
            "WITH_BINARY_PATH": "", "WITH_VERSION": "", "WITH_BUILD": "never"})
        program = output.read_text().removeprefix("path=").strip()
        check(f"(release {self.tag})" in done.stdout, f"the release is downloaded: {done.stdout}{done.stderr}")
        said = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
        check(said == f"bench-diff {self.version}\n", "and runs")

    def show(self, path):
        return self.git("show", f"baselines-{self.tag}:{path}", cwd=self.origin)

    def git(self, *args, cwd=None):
        done = subprocess.run(["git", *args], cwd=cwd or self.workspace, capture_output=True, text=True)
        check(done.returncode == 0, f"git {args}: {done.stderr}")
        return done.stdout.strip()


def release(world):
    Release(world).run()


SCENARIOS = [release]
