"""Runs a workflow with act, job by job, as GitHub hands jobs out: each on a machine of its own, with a token that has the
job's permissions."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SHIMMED = {
    "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02": "upload",
    "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8": "checkout",
    "actions/download-artifact@d3f86a106a0bac45b974a628896c90dbdf5c8093": "download",
}


def check(condition, what):
    if not condition:
        raise SystemExit(f"e2e failed: {what}")


class Job:
    """What became of a job."""

    def __init__(self, result, records, outcome):
        self.result, self.records, self.outcome = result, records, outcome
        self.outputs = {}
        for record in records:
            # What action.yml names comes first; act adds the outputs of the steps inside, by their own names.
            if record.get("command") == "set-output" and record.get("stepID") == ["under_test"]:
                self.outputs.setdefault(record["name"], record.get("arg", ""))
        self.steps = {record["step"] for record in records if record.get("step") and record.get("stage") == "Main"}
        self.log = "".join(record.get("msg", "") for record in records)
        self.summary = "".join(str(record.get("content", "")) for record in records if record.get("command") == "summary")

    def annotations(self, level):
        """Title and message of the annotations of that level."""
        pattern = re.compile(rf"::{level}(?: title=(.*?))?::(.*)")
        raw = (record.get("raw", "") for record in self.records if record.get("command") == level)
        return [match.groups() for match in map(pattern.match, raw) if match]


class Runner:
    def __init__(self, scratch, github, tools, binary, action):
        self.scratch, self.github, self.tools, self.binary, self.action = scratch, github, tools, binary, action
        self.artifacts, self.releases = scratch / "artifacts", scratch / "releases"
        self.cargo_log = scratch / "cargo.log"
        self.machines = 0
        self.shims = self.make_shims()

    def make_shims(self):
        """Programs that come first on the path: bench-diff notes its environment; cargo and gh are played; a minute of
        the timeout input is a second."""
        shims = self.scratch / "path"
        shims.mkdir()
        for name in ["cargo", "gh", "timeout", "curl"]:
            shutil.copy(HERE / "shims" / name, shims / name)
        (shims / "bench-diff").write_text(
            f'#!/bin/bash\n/usr/bin/env > "{self.scratch}/environment-$1"\nexec "{self.binary}" "$@"\n')
        (shims / "bench-diff").chmod(0o755)
        return shims

    def run(self, event, payload, workspace, workflow=".github/workflows/benchmark.yml", change=None, run_id=1,
            runs=True):
        """Every job of the workflow, in order; `change` may edit a job before it runs. Results by the job's name."""
        shutil.rmtree(self.artifacts / str(run_id), ignore_errors=True)
        whole = yaml.safe_load((workspace / workflow).read_text())
        done = {}
        for name, job in whole["jobs"].items():
            job = json.loads(json.dumps(job))
            if change:
                change(name, job)
            done[name] = self.job(name, whole, job, done, event, payload, workspace, run_id)
        ran = [name for name, job in done.items() if job.result != "skipped"]
        check(bool(ran) == runs, f"{event}: something should run: {runs}; it was {ran}")
        return done

    def job(self, name, whole, job, done, event, payload, workspace, run_id):
        needs = job.pop("needs", [])
        needs = [needs] if isinstance(needs, str) else needs
        condition = str(job.get("if", "success()"))
        if not re.search(r"always\(\)|success\(\)|failure\(\)", condition):
            condition = f"success() && ({condition})"
        for need in needs:
            condition = condition.replace(f"needs.{need}.result", f"'{done[need].result}'")
        well = "true" if all(done[need].result == "success" for need in needs) else "false"
        job["if"] = condition.replace("always()", "true").replace("success()", well)
        permissions = job.get("permissions", whole.get("permissions", {})) or {}
        if "self-hosted" in job["runs-on"]:
            check("write" not in permissions.values(), f"{name} runs the pull request's code, with {permissions}")
        seen = self.observe(job)
        single = self.scratch / "job.yml"
        # `on` is a truth in YAML 1.1.
        triggers = whole.get("on", whole.get(True))
        single.write_text(yaml.safe_dump({"name": whole["name"], "on": triggers, "jobs": {name: job}}, width=10_000))
        code, records, log = self.act(event, payload, workspace, single, self.github.token(permissions), run_id)
        ran = [record for record in records if record.get("step")]
        if not ran:
            check(code == 0, f"act {event} {name} ended with {code}: {log}")
            return Job("skipped", records, None)
        outcome = seen.read_text().strip() if seen.exists() else None
        return Job("failure" if code else "success", records, outcome)

    def observe(self, job):
        """Adds a step that writes down how the Action's step ended."""
        seen = self.scratch / "outcome"
        seen.unlink(missing_ok=True)
        for step in job["steps"]:
            if re.match(r"acme/bench-diff|\./", step.get("uses", "")):
                step["id"] = "under_test"
                job["steps"].append({
                    "name": "Observe", "if": "always()", "shell": "/bin/bash --noprofile --norc -p {0}",
                    "run": f'/usr/bin/env -i /bin/cat <<< "$SEEN" > {seen}',
                    "env": {"SEEN": "${{ steps.under_test.outcome }}"},
                })
                break
        return seen

    def act(self, event, payload, workspace, workflow, token, run_id):
        self.machines += 1
        home = self.scratch / f"home-{self.machines}"
        home.mkdir()
        # Git asks no network: nothing is where it would fetch from.
        (home / ".gitconfig").write_text(f'[url "file://{self.scratch}/server/"]\n  insteadOf = https://github.com/\n')
        repository = {"full_name": "acme/candle", "name": "candle", "owner": {"login": "acme"}, "default_branch": "main"}
        (home / "event.json").write_text(json.dumps({"repository": repository, **payload}))
        (home / "secrets").write_text(f"GITHUB_TOKEN={token}\n")
        environment = {
            "HOME": str(home), "PATH": f"{self.shims}:{self.tools / 'bin'}:{os.environ['PATH']}", "LANG": "C.UTF-8",
        }
        variables = {
            "E2E_WORKSPACE": workspace, "GITHUB_API_URL": f"http://127.0.0.1:{self.github.port}",
            "GITHUB_REPOSITORY": "acme/candle", "GITHUB_RUN_ID": run_id, "E2E_ARTIFACTS": self.artifacts,
            "E2E_RELEASES": self.releases, "E2E_PROGRAM": self.binary, "E2E_CARGO_LOG": self.cargo_log,
            "E2E_DOWNLOADS": self.scratch / "downloads",
        }
        shims = {f"acme/bench-diff@v1": self.action} | {use: HERE / "shims" / shim for use, shim in SHIMMED.items()}
        command = [
            str(self.tools / "bin/act"), event, "-e", str(home / "event.json"), "-W", str(workflow), "--json",
            "-P", "self-hosted=-self-hosted", "-P", "ubuntu-latest=-self-hosted", "-P", "ubuntu-22.04=-self-hosted",
            "--no-cache-server", "--secret-file", str(home / "secrets"),
            *(word for use, path in shims.items() for word in ("--local-repository", f"{use}={path}")),
            *(word for name, value in variables.items() for word in ("--env", f"{name}={value}")),
        ]
        done = subprocess.run(command, cwd=workspace, env=environment, capture_output=True, text=True, timeout=240)
        log = done.stdout + done.stderr
        (home / "log").write_text(log)
        return done.returncode, [json.loads(line) for line in log.splitlines() if line.startswith("{")], log
