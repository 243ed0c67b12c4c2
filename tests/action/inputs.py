"""Every input reaches bench-diff as the argument that it is meant to be."""

import repositories
from workflow import check

# Notes its arguments, and leaves what the steps after it look for.
RECORDER = """#!/bin/bash
printf '%s\\n' "$@" > LOG-$1
case "$1" in
  --version) echo "bench-diff $(cat LOG-version)" ;;
  base) printf 'base-commit=BASE\\nmerge-base=MERGE\\n' >> "$GITHUB_OUTPUT" ;;
  ci) mkdir -p "$3"; echo '{}' > "$3/report.json"; cp "$3/report.json" "$3/results.json"; exit CODE ;;
esac
"""


class Recorder:
    def __init__(self, world, name):
        self.world, self.log = world, world.scratch / f"recorded-{name}"
        self.path = repositories.user(world.scratch / f"inputs-{name}")
        head = repositories.commit(self.path, "head")
        self.pull = world.github.pull_request(f"inputs-{name}", head, head)
        self.pull["head"]["repo"] = {"full_name": "acme/candle"}

    def run(self, measure, publish=None, code=0, base=""):
        program = self.path / "recorder"
        text = RECORDER.replace("LOG", str(self.log)).replace("CODE", str(code))
        text = text.replace("base-commit=BASE\\nmerge-base=MERGE\\n", base)
        program.write_text(text)
        program.chmod(0o755)

        def change(name, job):
            if name == "publish":
                self.report = self.arguments("publish")
            job["steps"][-1]["with"].pop("allow-unrelated", None)
            job["steps"][-1]["with"] |= {"binary-path": str(program)} | {"measure": measure, "publish": publish or {}}[name]
        event = {"action": "opened", "number": self.pull["number"], "pull_request": self.pull}
        for command in ["base", "ci", "publish"]:
            self.log.with_name(f"{self.log.name}-{command}").unlink(missing_ok=True)
        self.report = None
        return self.world.runner.run("pull_request", event, self.path, change=change)

    def arguments(self, command):
        path = self.log.with_name(f"{self.log.name}-{command}")
        return path.read_text().splitlines() if path.exists() else None


def arguments(world):
    recorder = Recorder(world, "all")
    jobs = recorder.run(
        {"config": "c d.toml", "suite": "s", "gpus": "1", "baseline": "b", "head-binary": "h", "base-binary": "o",
         "base-ref": "r", "candle": "k", "confirm": "never", "confirm-budget": "3", "trace-budget": "1", "results": "out", "pr-number": "7",
         "fail-on": "regression", "if-no-baseline": "fail", "artifact-name": "mine", "build-command": "touch built",
         "build-env": "CC_one  CC_two", "allow-unrelated": "true"},
        {"comment": "changed", "check-run": "false", "pr-number": "8", "fail-on": "never", "if-no-baseline": "pass",
         "artifact-name": "mi*"})
    check(recorder.arguments("base") == "base --base-ref r --pr-number 7 --repository k".split(), recorder.arguments("base"))
    ci = recorder.arguments("ci")
    source = ci.pop(ci.index("--source") + 1)
    check(source.endswith("bench-diff@v1") or "bench-diff" in source, f"the source is this Action's: {source}")
    check(ci == ["ci", "--output", "out", "--no-publish", "--source", "--config", "c d.toml", "--suite", "s", "--gpus", "1",
                 "--baseline", "b", "--head-binary", "h", "--base-binary", "o", "--build-env", "CC_one", "--build-env", "CC_two", "--base-ref", "r", "--candle", "k",
                 "--allow-unrelated", "--confirm-budget", "3", "--trace-budget", "1", "--no-confirm"], f"the arguments of ci: {ci}")
    report = without_paths(recorder.report)
    check(report == "publish --results --comment never --no-check-run --fail-on regression --if-no-baseline fail --summary",
          f"of the report: {report}")
    publish = without_paths(recorder.arguments("publish"))
    check(publish == "publish --results --comment changed --fail-on never --if-no-baseline pass --summary --pr-number 8 "
          "--no-check-run", f"of publish: {publish}")
    check(jobs["measure"].result == jobs["publish"].result == "success", "both end well")


def without_paths(arguments):
    return " ".join(word for word in arguments if not word.startswith("/"))


def defaults(world):
    """Nothing is passed on that wasn't said; a step before measuring finds the base."""
    recorder = Recorder(world, "none")
    recorder.run({}, base="base-commit=b1\\nmerge-base=b2\\n")
    check(recorder.arguments("base") == ["base"], "no argument")
    ci = recorder.arguments("ci")
    ci.pop(ci.index("--source") + 1)
    check(ci == "ci --output bench-results --no-publish --source --base-commit b1 --merge-base b2".split(), f"of ci: {ci}")
    check(without_paths(recorder.report) == "publish --results --comment never --no-check-run --fail-on never "
          "--if-no-baseline warn --summary", f"of the report: {recorder.report}")
    check(without_paths(recorder.arguments("publish")) == "publish --results --comment always --fail-on regression,not-comparable "
          "--if-no-baseline warn --summary", f"of publish: {recorder.arguments('publish')}")
    recorder.run({"upload": "false", "build-command": "true", "head-binary": "h", "base-ref": "r"}, base="base-commit=b1\\n")
    ci = recorder.arguments("ci")
    ci.pop(ci.index("--source") + 1)
    check(ci == "ci --output bench-results --no-publish --source --head-binary h --build-command true --base-commit b1".split(),
          f"what builds the head builds the base: {ci}")
    check(not any(world.runner.artifacts.glob("1/*")), "nothing is uploaded")


def refusals(world):
    """What makes the measuring step fail, and with which words; what there is is uploaded and reported all the same."""
    recorder = Recorder(world, "bad")
    for inputs, code, says in [
        ({"confirm": "no\n::x::"}, 0, "the confirm input is neither auto nor never: no ::x::"),
        ({"timeout": "0"}, 0, "the timeout input is not a number of minutes: 0"),
        ({"timeout": "1h"}, 0, "the timeout input is not a number of minutes: 1h"),
    ]:
        jobs = recorder.run(inputs, code=code)
        check(jobs["measure"].result == "failure" and recorder.arguments("ci") is None, f"{inputs}: nothing is measured")
        errors = [message for _, message in jobs["measure"].annotations("error")]
        check(says in errors, f"{inputs}: {errors}")
        check(recorder.report[:2] == ["publish", "--failed"], f"{inputs}: which is said: {recorder.report}")
        check("no report as bench-diff" in recorder.arguments("publish")[2], f"and told: {recorder.arguments('publish')}")
    jobs = recorder.run({"build-command": "exit 3", "suite": "s", "results": "out"}, code=3)
    ci = recorder.arguments("ci")
    check(ci[-2:] == ["--failed", "the build command failed"], f"nothing is measured: {ci}")
    check({"--suite", "s", "--output", "out", "--no-publish"} <= set(ci), f"a report says so: {ci}")
    check(jobs["measure"].result == "failure" and recorder.report[:2] == ["publish", "--results"], "and is told")
    jobs = recorder.run({}, code=3)
    check(jobs["measure"].outcome == "failure", "the exit code of ci counts")
    check(recorder.report is not None and recorder.arguments("publish") is not None, "what there is is told all the same")


def timeouts(world):
    """A minute, which is a second here."""
    recorder = Recorder(world, "slow")
    jobs = recorder.run({"timeout": "1"}, code="$(sleep 30)")
    errors = [message for _, message in jobs["measure"].annotations("error")]
    check(any("longer than the timeout input allows" in message for message in errors), f"the reason: {errors}")
    check(jobs["measure"].result == "failure" and recorder.arguments("publish") is not None, "what there is is told")


SCENARIOS = [arguments, defaults, refusals, timeouts]
