"""The Action from a workflow to a comment, with no GitHub.

act runs the workflows on this machine, a stateful emulator plays GitHub, and between them a proxy checks every request
against GitHub's published API description. `.ci/e2e-action` installs the three and starts this.
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = pathlib.Path(os.environ["E2E_TOOLS"])
BINARY = pathlib.Path(os.environ["BENCH_DIFF_BIN"]).resolve()
EMULATOR, PROXY = 4801, 4811
UPLOAD = "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02"
CHECKOUT = "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8"
DOWNLOAD = "actions/download-artifact@d3f86a106a0bac45b974a628896c90dbdf5c8093"

# Seconds to measure, so that the machinery around it is what is tested.
CONFIG = """
weights = "generated"
[suites.tiny]
device = "cpu"
models = ["./tiny"]
context-lengths = [1]
generated-length = 8
warmup-length = 2
"""


def main():
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="bench-diff-e2e-"))
    started = []
    try:
        finding(scratch / "finding")
        started += start_github(scratch)
        pull = make_pull_request()
        scenario = Scenario(scratch, pull)
        scenario.run()
        Release(scratch, scenario).run()
        violations = request_violations(scratch / "proxy.log")
        check(not violations, f"requests that GitHub's API description doesn't know: {violations}")
        print("e2e: all passed")
    finally:
        for process in started:
            process.terminate()
        shutil.rmtree(scratch, ignore_errors=True)


def finding(scratch):
    """Where the program comes from: the order, and that a wrong checksum is the end."""
    action, tools = scratch / "action", scratch / "tools"
    shutil.copytree(bench_diff(scratch), action)
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
            "INPUT_BINARY_PATH": "", "INPUT_VERSION": "", "INPUT_BUILD": "never", **inputs,
        }
        script = action / ".github/actions/scripts/find.sh"
        done = subprocess.run([script], env=environment, cwd=scratch, capture_output=True, text=True)
        return done.returncode, done.stdout, output.read_text()

    check(find(BINARY.parent)[2] == f"path={BINARY}\n", "a program of the right version on PATH is taken")
    check(find(tools, INPUT_BINARY_PATH=str(BINARY))[2] == f"path={BINARY}\n", "the named program is taken")
    check(find(BINARY.parent, INPUT_VERSION="9.9.9")[0] == 2, "another version is not")
    log = scratch / "cargo.log"
    shims = scratch / "shims"
    shims.mkdir()
    for name in ["cargo", "nvcc"]:
        shutil.copy(ROOT / "tests/action/shims/cargo", shims / name)
    building = {"INPUT_BUILD": "auto", "E2E_CARGO_LOG": str(log), "E2E_PROGRAM": str(BINARY)}
    check(find(tools, INPUT_BUILD="auto")[0] == 2, "nothing can be built without cargo")
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
    for inputs in [{"INPUT_BINARY_PATH": "/no\n::set-output name=path::x"}, {"INPUT_VERSION": "1; id"}, {"INPUT_BUILD": "x"}]:
        code, said, written = find(tools, **inputs)
        check(code == 2 and written == "" and said.count("\n") == 1, f"a bad input is one line: {said}")
    version = re.search(r'^version = "(.*)"', (action / "Cargo.toml").read_text(), re.M).group(1)
    with open(action / ".github/actions/scripts/checksums.txt", "a") as checksums:
        for target in ["", *(f"-sm{capability}" for capability in range(50, 130))]:
            checksums.write(f"{'0' * 64}  bench-diff-{version}-{os.uname().machine}-linux{target}.tar.gz\n")
    code, said, written = find(tools, INPUT_BUILD="cpu")
    check(code == 2 and "checksum" in said and written == "", f"a wrong checksum is the end: {said}")
    print("e2e: where the program comes from")


class Scenario:
    def __init__(self, scratch, pull):
        self.scratch, self.pull = scratch, pull
        self.workspace = user_repository(scratch / "candle", pull["head"]["sha"])
        self.shims = make_shims(scratch)

    def run(self):
        comment("mallory-token", self.pull, "<!-- bench-diff suite=tiny gpu=x run=1 -->\nplanted")
        self.first_and_second_run()
        self.no_token()
        self.fork_without_permission_then_published()
        self.bench_comment()

    def first_and_second_run(self):
        event = {"action": "opened", "number": self.pull["number"], "pull_request": self.pull}
        first = self.act("pull_request", event)
        outputs = outputs_of(first)
        check(outputs.get("verdict") == "no_baseline", f"the verdict of a first run: {outputs}")
        check(self.ours() == 1, "the first run makes one comment")
        ran = {name: (self.scratch / f"environment-{name}").read_text() for name in ["base", "ci", "publish"]}
        for name, expected in [("base", True), ("ci", False), ("publish", True)]:
            found = [line.split("=")[0] for line in ran[name].splitlines() if "actions-token" in line]
            check(bool(found) == expected, f"bench-diff {name} runs with a token: {expected}, {found}")
        check("No baseline" in summary_of(first) or "no baseline" in summary_of(first), "the summary is written")
        second = self.act("pull_request", event)
        check(outputs_of(second).get("comment-url"), "the second run names the comment")
        check(self.ours() == 1, "the second run updates that comment")
        print("e2e: two runs, one comment")

    def no_token(self):
        event = {"action": "opened", "number": self.pull["number"], "pull_request": self.pull}
        records = self.act("pull_request", event, token="")
        check(outputs_of(records).get("verdict"), "without a token there are outputs all the same")
        check(self.ours() == 1, "and no new comment")
        print("e2e: no token, no comment, no failure")

    def fork_without_permission_then_published(self):
        """The workflow that measures has kept an artifact; the one that publishes takes it."""
        for body in self.marked():
            delete("actions-token", body["id"])
        run = {
            "id": 77, "event": "pull_request", "conclusion": "success", "head_sha": self.pull["head"]["sha"],
            "head_branch": "faster", "head_repository": {"owner": {"login": "fork"}}, "pull_requests": [],
        }
        records = self.act(
            "workflow_run", {"action": "completed", "workflow_run": run}, workspace=bench_diff(self.scratch),
            workflow=".github/workflows/publish.yml",
        )
        check(outputs_of(records).get("verdict") == "no_baseline", f"publish.yml ran: {outputs_of(records)}")
        check(self.ours() == 1, "publish.yml comments on the pull request that was measured")
        print("e2e: publish.yml after benchmark.yml")

    def bench_comment(self):
        """`/bench COMMIT` by a maintainer: this repository's own workflow, whose event names only the pull request."""
        for body in self.marked():
            delete("actions-token", body["id"])
        workspace = self.scratch / "bench"
        own_repository(workspace)
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=workspace, capture_output=True, text=True).stdout.strip()
        event = {
            "action": "created", "issue": {"number": self.pull["number"], "pull_request": {"url": "x"}},
            "comment": {"body": f"/bench {commit[:12]}", "author_association": "COLLABORATOR", "user": {"login": "mallory"}},
        }
        call("PUT", "/repos/acme/candle/collaborators/mallory", {"permission": "pull"})
        refused = self.act("issue_comment", event, workspace=workspace, fails=True)
        said = "".join(record.get("msg", "") + record.get("arg", "") for record in refused)
        check("mallory may not" in said, f"a collaborator who may only read starts nothing: {said}")
        ran = {record.get("step") for record in refused if record.get("stage") == "Main"}
        check(ran == {"Check that who asks may write to the repository"}, f"and nothing of the pull request runs: {ran}")
        event["comment"]["user"]["login"] = "ada"
        records = self.act("issue_comment", event, workspace=workspace)
        check(self.ours() == 1, "the comment /bench leads to a report on its pull request")
        said = "".join(record.get("msg", "") for record in records)
        check(self.pull["base"]["sha"] in said, "and GitHub was asked for its base")
        print("e2e: /bench")

    def marked(self):
        found = call("GET", f"/repos/acme/candle/issues/{self.pull['number']}/comments?per_page=100")
        return [c for c in found if c["body"].startswith("<!-- bench-diff") and c["user"]["login"] != "mallory"]

    def ours(self):
        return len(self.marked())

    def act(self, event, payload, token="actions-token", workspace=None, workflow=".github/workflows/benchmark.yml",
            fails=False):
        """Runs a workflow, which should end well unless it `fails`, and returns act's JSON records."""
        home = self.scratch / "home"
        home.mkdir(exist_ok=True)
        # Git asks no network: nothing is where it would fetch from.
        (home / ".gitconfig").write_text(f'[url "file://{self.scratch}/server/"]\n  insteadOf = https://github.com/\n')
        payload = {"repository": {"full_name": "acme/candle", "name": "candle", "owner": {"login": "acme"}}, **payload}
        path = self.scratch / "event.json"
        path.write_text(json.dumps(payload))
        environment = {
            "HOME": str(home), "PATH": f"{self.shims}:{TOOLS / 'bin'}:{os.environ['PATH']}", "LANG": "C.UTF-8",
        }
        command = [
            str(TOOLS / "bin/act"), event, "-e", str(path), "-W", workflow, "--json",
            "-P", "self-hosted=-self-hosted", "-P", "ubuntu-latest=-self-hosted", "-P", "ubuntu-22.04=-self-hosted",
            "--no-cache-server",
            "--local-repository", f"acme/bench-diff@v1={bench_diff(self.scratch)}",
            "--local-repository", f"{UPLOAD}={ROOT}/tests/action/shims/upload",
            "--local-repository", f"{CHECKOUT}={ROOT}/tests/action/shims/checkout",
            "--env", f"E2E_WORKSPACE={workspace or self.workspace}",
            "--local-repository", f"{DOWNLOAD}={ROOT}/tests/action/shims/download",
            "-s", f"GITHUB_TOKEN={token}",
            "--env", f"GITHUB_API_URL=http://127.0.0.1:{PROXY}", "--env", "GITHUB_REPOSITORY=acme/candle",
            "--env", f"E2E_ARTIFACTS={self.scratch / 'artifacts'}", "--env", f"E2E_RELEASES={self.scratch / 'releases'}",
            "--env", f"E2E_EMULATOR=http://127.0.0.1:{EMULATOR}", "--env", f"E2E_PROGRAM={BINARY}",
            "--env", f"E2E_CARGO_LOG={self.scratch / 'act-cargo.log'}",
        ]
        done = subprocess.run(
            command, cwd=workspace or self.workspace, env=environment, capture_output=True, text=True, timeout=240,
        )
        log = done.stdout + done.stderr
        records = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
        ran = [record for record in records if record.get("step")]
        if (done.returncode != 0) != fails or not ran:
            print("\n".join(record.get("msg", "").rstrip() for record in records) or log)
            check(False, f"act {event} ended with {done.returncode}, {len(ran)} records of steps")
        return records


class Release:
    """release.yml from a tag to a pull request with checksums and baselines; and again, with sessions measured anew."""

    def __init__(self, scratch, scenario):
        self.scratch, self.scenario = scratch, scenario
        self.workspace, self.origin = scratch / "released", scratch / "origin.git"
        own_repository(self.workspace)
        version = re.search(r'^version = "(.*)"', (self.workspace / "Cargo.toml").read_text(), re.M).group(1)
        self.version, self.tag = version, f"v{version}"
        self.git("init", "--quiet", "--bare", "--initial-branch", "main", str(self.origin))
        self.git("remote", "set-url", "origin", str(self.origin))
        self.git("tag", self.tag)
        self.git("push", "--quiet", "origin", "main", self.tag)

    def run(self):
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
        check((len(baseline["sessions"]), baseline["label"]) == (5, self.tag), "five sessions of the release")
        self.download(sums, kept)
        self.release()
        check(self.state() == first, f"a second run changes nothing: {first} {self.state()}")
        self.git("branch", "--force", "main", f"baselines-{self.tag}", cwd=self.origin)
        call("PATCH", f"/repos/acme/candle/pulls/{first[1][0]}", {"state": "closed"})
        self.release()
        check(self.state()[1] == [], "nor does one after the pull request was merged")
        print("e2e: a release, and the same again")

    def release(self):
        event = {"ref": f"refs/tags/{self.tag}", "repository": {
            "default_branch": "main", "full_name": "acme/candle", "name": "candle", "owner": {"login": "acme"}}}
        self.scenario.act("push", event, workspace=self.workspace, workflow=".github/workflows/release.yml")

    def state(self):
        """The branch, the open pull requests for it, and the releases."""
        pulls = call("GET", "/repos/acme/candle/pulls?state=open")
        mine = [pull["number"] for pull in pulls if pull["head"]["ref"] == f"baselines-{self.tag}"]
        releases = [release["tag_name"] for release in call("GET", "/repos/acme/candle/releases")]
        return self.git("rev-parse", f"baselines-{self.tag}", cwd=self.origin), mine, releases

    def download(self, sums, kept):
        """What the pull request adds is what find.sh needs."""
        action, tools, output = self.scratch / "found", self.scratch / "found-tools", self.scratch / "found-output"
        shutil.copytree(bench_diff(self.scratch), action)
        (action / ".github/actions/scripts/checksums.txt").write_text("\n".join(sums) + "\n")
        tools.mkdir()
        (tools / "curl").write_text(
            f'#!/bin/bash\nwhile [[ "$1" != --output ]]; do shift; done; cp "{kept}/$(basename "$2")" "$2"\n')
        (tools / "curl").chmod(0o755)
        output.write_text("")
        done = subprocess.run([action / ".github/actions/scripts/find.sh"], cwd=self.scratch, capture_output=True, text=True, env={
            "PATH": f"{tools}:/usr/bin:/bin", "HOME": str(self.scratch), "GITHUB_OUTPUT": str(output),
            "RUNNER_TOOL_CACHE": str(self.scratch / "found-cache"), "ACTION_REPOSITORY": "acme/bench-diff",
            "INPUT_BINARY_PATH": "", "INPUT_VERSION": "", "INPUT_BUILD": "never"})
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


def make_shims(scratch):
    """Programs that come first on the path: bench-diff notes its environment, cargo and gh are played."""
    shims = scratch / "path"
    shims.mkdir()
    for name in ["cargo", "gh"]:
        shutil.copy(ROOT / "tests/action/shims" / name, shims / name)
    (shims / "bench-diff").write_text(f'#!/bin/bash\nenv > "{scratch}/environment-$1"\nexec "{BINARY}" "$@"\n')
    (shims / "bench-diff").chmod(0o755)
    return shims


def own_repository(path):
    """This repository without its sources: the workflows, and something small to measure."""
    shutil.copytree(bench_diff(path.parent), path, ignore=shutil.ignore_patterns(".git"))
    (path / "bench-diff.toml").write_text(CONFIG)
    shutil.copytree(ROOT / "tests/models/qwen2.5-tiny", path / "tiny")
    (path / ".gitignore").write_text("target\n.bench-diff\n")
    git_init(path, "https://github.com/acme/candle")


def user_repository(path, sha):
    """A repository whose only workflow is the one that docs/action.md shows."""
    shown = re.search(r"^ *```yaml\n(.*?)^ *```", (ROOT / "docs/action.md").read_text(), re.S | re.M).group(1)
    workflow = "".join(line[3:] if line.strip() else line for line in shown.splitlines(keepends=True))
    workflow = workflow.replace("uses: OWNER/bench-diff@v1", "uses: acme/bench-diff@v1")
    (path / ".github/workflows").mkdir(parents=True)
    (path / ".github/workflows/benchmark.yml").write_text(workflow)
    (path / "bench-diff.toml").write_text(CONFIG)
    shutil.copytree(ROOT / "tests/models/qwen2.5-tiny", path / "tiny")
    git_init(path, "https://github.com/acme/candle")
    return path


def bench_diff(scratch):
    """What the Action needs of this repository, as a clone of its own: act copies it whole, build outputs and all."""
    path = scratch / "bench-diff"
    if not path.exists():
        path.mkdir(parents=True)
        for name in [".github", "action.yml", "Cargo.toml", "Cargo.lock"]:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, path / name)
        git_init(path, "https://github.com/acme/candle")
    return path


def git_init(path, origin):
    def git(*args):
        subprocess.run(["git", "-c", "user.name=e2e", "-c", "user.email=e2e@example.com", *args],
                       cwd=path, check=True, capture_output=True)
    git("init", "--initial-branch", "main")
    git("add", "--all")
    git("commit", "--message", "all")
    git("remote", "add", "origin", origin)


def start_github(scratch):
    """The emulator and the proxy in front of it."""
    node, modules = str(TOOLS / "bin/node"), TOOLS / "node_modules"

    def start(name, *command):
        with open(scratch / f"{name}.log", "w") as log:
            return subprocess.Popen([node, *map(str, command)], stdout=log, stderr=log, cwd=scratch)
    started = [
        start("emulator", modules / ".bin/emulate", "start", "--service", "github", "--port", EMULATOR,
              "--seed", ROOT / "tests/action/seed.yaml"),
        start("proxy", modules / ".bin/prism", "proxy", "-h", "127.0.0.1", "-p", PROXY, TOOLS / "slim.json",
              f"http://127.0.0.1:{EMULATOR}"),
    ]
    for port in (EMULATOR, PROXY):
        for _ in range(120):
            try:
                call("GET", "/user", port=port)
                break
            except OSError:
                time.sleep(0.5)
        else:
            raise SystemExit(f"nothing answers on port {port}: {(scratch / 'proxy.log').read_text()}")
    return started


def make_pull_request():
    repository = "/repos/acme/candle"
    main = call("GET", f"{repository}/git/ref/heads/main")["object"]["sha"]
    call("POST", f"{repository}/git/refs", {"ref": "refs/heads/faster", "sha": main})
    change = {"message": "faster", "content": "eA==", "branch": "faster"}
    call("PUT", f"{repository}/contents/faster.txt", change)
    return call("POST", f"{repository}/pulls", {"title": "Faster", "head": "faster", "base": "main"})


def comment(token, pull, body):
    call("POST", f"/repos/acme/candle/issues/{pull['number']}/comments", {"body": body}, token=token)


def delete(token, comment_id):
    call("DELETE", f"/repos/acme/candle/issues/comments/{comment_id}", token=token)


def call(method, path, body=None, token="ada-token", port=EMULATOR):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", method=method, data=json.dumps(body).encode() if body else None,
        headers={"authorization": f"Bearer {token}", "content-type": "application/json", "user-agent": "e2e"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def outputs_of(records):
    outputs = {}
    for record in records:
        if record.get("command") == "set-output":
            outputs[record.get("name")] = record.get("arg", record.get("value", ""))
    return outputs


def summary_of(records):
    return "".join(str(record.get("content", "")) for record in records if record.get("command") == "summary")


def request_violations(log):
    """Lines of the proxy's log about a request; what the emulator answers is not our business."""
    return [line for line in log.read_text().splitlines() if "iolation" in line and "request" in line.lower()]


def check(condition, what):
    if not condition:
        raise SystemExit(f"e2e failed: {what}")


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    main()
