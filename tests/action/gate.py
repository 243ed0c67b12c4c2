"""The gate: what a measured change does to jobs, outputs, comment, check run and annotations."""

import datetime
import json
import re
import subprocess

import repositories
from workflow import ROOT, check

CONFIG = """
weights = "generated"
[suites.small]
device = "cpu"
models = ["Qwen/Qwen2.5-0.5B"]
context-lengths = [1, 256]
"""


class Repository:
    """A repository whose head is a program of a known speed, and whose main branch has a baseline of 100 tokens a
    second, measured on so many days with such a drift between them."""

    def __init__(self, world, name, days=5, drift=1e-4):
        self.world, self.name = world, name
        self.path = repositories.user(world.scratch / f"gate-{name}", CONFIG, "README.md")
        self.program("100")
        if days:
            self.bench_diff("ci", "--quiet", "--head-binary", "./head", "--no-publish", "--output", "out")
            self.bench_diff("baseline", "update", *(self.on_day(day, drift) for day in range(days)))
            subprocess.run(["rm", "-rf", "out", ".bench-diff"], cwd=self.path, check=True)
        self.base = repositories.commit(self.path, "base")
        repositories.git(self.path, "switch", "--create", name)

    def on_day(self, day, drift):
        """What was measured today, as of that day before: a bit apart, as copies of a session count once."""
        results = json.loads((self.path / "out/results.json").read_text())
        session = results["sessions"][0]
        date = datetime.date.today() - datetime.timedelta(days=day + 1)
        session |= {"id": f"day-{day}", "started": f"{date}T02:00:00Z", "finished": f"{date}T02:10:00Z"}
        for run in session["runs"]:
            run["metrics"] = {name: value if name == "peak_memory" else value * (1 + (day - 2) * drift)
                              for name, value in run["metrics"].items()}
        (self.path / f"out/{day}.json").write_text(json.dumps(results))
        return f"out/{day}.json"

    def bench_diff(self, *args):
        done = subprocess.run([self.world.binary, *args], cwd=self.path, capture_output=True, text=True)
        check(done.returncode == 0, f"bench-diff {args}: {done.stderr}")

    def program(self, speed):
        text = (ROOT / "tests/ci/program.sh").read_text().replace("SPEED", speed).replace("COMMIT", f"aaaaaaa{speed}")
        (self.path / "head").write_text(text)
        (self.path / "head").chmod(0o755)

    def run(self, measure=None, publish=None, said=None):
        """Both jobs of the README's workflow, with these inputs as well; the pull request that they are of."""
        head = repositories.commit(self.path, "head")
        pull = self.world.github.pull_request(self.name, head, self.base)
        pull["head"]["repo"] = {"full_name": "acme/candle"}
        if said:
            self.world.github.comment(pull, said, "ada-token")

        def change(name, job):
            inputs = job["steps"][-1].setdefault("with", {})
            inputs |= {"measure": {"head-binary": "./head", **(measure or {})}, "publish": publish or {}}[name]
            job["steps"][-1]["with"] = {name: value for name, value in inputs.items() if value is not None}
        event = {"action": "opened", "number": pull["number"], "pull_request": pull}
        return pull, self.world.runner.run("pull_request", event, self.path, change=change)


COUNTS = ["regressed", "improved", "inconclusive"]


def expect(world, name, pull, jobs, verdict, counts, results, conclusion, says, errors=0, warnings=0):
    """Everything that can be seen of a run: both jobs' results and outputs, the comment, the check run, annotations."""
    measure, publish = jobs["measure"], jobs["publish"]
    found = (measure.result, publish.result, measure.outcome, publish.outcome)
    check(found == results + results, f"{name}: the jobs ended as {results}: {found}\n{publish.log}")
    for job in (measure, publish):
        outputs = dict(job.outputs)
        check(outputs.get("verdict") == verdict, f"{name}: the verdict is {verdict}: {outputs}")
        found = [bool(int(outputs[count])) for count in COUNTS]
        check(found == counts, f"{name}: {COUNTS} are {counts}: {outputs}")
        check(re.search(r"/summary\.md$", outputs["summary"]), f"{name}: the summary has a path: {outputs}")
        check(says in job.summary, f"{name}: the summary says {says}: {job.summary}")
    check(measure.outputs["report"].endswith("/bench-results/report.json"), f"{name}: the report has a path")
    check(measure.outputs["results"].endswith("/bench-results/results.json"), f"{name}: the results have a path")
    comments = world.github.comments(pull)
    check(len(comments) == 1 and says in comments[0], f"{name}: one comment says {says}: {comments}")
    check(publish.outputs["comment-url"].split("#")[0].endswith(f"/{pull['number']}"), f"{name}: {publish.outputs}")
    runs = world.github.check_runs(pull)
    check(len(runs) == 1 and runs[0][0].startswith("bench-diff small "), f"{name}: one check run: {runs}")
    check(runs[0][1] == conclusion, f"{name}: it concludes with {conclusion}: {runs}")
    found = [bool(publish.annotations(level)) for level in ("error", "warning")]
    check(found == [bool(errors), bool(warnings)], f"{name}: annotations: {publish.annotations('error')}, {publish.annotations('warning')}")


def regressed(world):
    repository = Repository(world, "regressed")
    repository.program("50")
    pull, jobs = repository.run()
    expect(world, "regressed", pull, jobs, "regressed", [True, False, False], ("success", "failure"), "failure",
           "Slower: decode", errors=1)
    errors = jobs["publish"].annotations("error")
    check("decode_throughput changed by -50" in str(errors), f"the annotation says what regressed: {errors}")
    warnings = jobs["measure"].annotations("warning")
    check("decode_throughput changed by -50" in str(warnings), f"the measuring job only warns: {warnings}")


def unconfirmed(world):
    """Against a baseline of one day, nothing is called slower: it is said, and shuts no gate."""
    repository = Repository(world, "screen", days=1)
    repository.program("50")
    pull, jobs = repository.run(publish={"comment": "changed"})
    expect(world, "screen", pull, jobs, "inconclusive", [False, False, True], ("success", "success"), "success",
           "unconfirmed")


def regressed_in_one_job(world):
    """Without `fail-on: never` the measuring job fails as well, and publishing goes on."""
    repository = Repository(world, "one")
    repository.program("50")
    pull, jobs = repository.run(measure={"fail-on": None}, publish={"fail-on": "never"})
    expect(world, "one", pull, jobs, "regressed", [True, False, False], ("failure", "success"), "neutral", "Slower: decode",
           warnings=1)


def not_told(world):
    """`comment: never`, no check run."""
    repository = Repository(world, "quiet")
    repository.program("50")
    pull, jobs = repository.run(publish={"comment": "never", "check-run": "false"})
    check(world.github.comments(pull) == [] and world.github.check_runs(pull) == [], "nothing is told")
    check((jobs["publish"].result, jobs["publish"].outputs["comment-url"]) == ("failure", ""), "and the gate is shut")


def improved(world):
    repository = Repository(world, "improved")
    repository.program("200")
    pull, jobs = repository.run()
    expect(world, "improved", pull, jobs, "improved", [False, True, False], ("success", "success"), "success", "Faster: decode")


def missing(world):
    """A case of the baseline that wasn't measured shuts the gate."""
    repository = Repository(world, "missing")
    (repository.path / "bench-diff.toml").write_text(CONFIG.replace("[1, 256]", "[1]"))
    pull, jobs = repository.run()
    check((jobs["measure"].result, jobs["publish"].result) == ("success", "failure"), "a missing case fails")
    check(world.github.check_runs(pull)[0][1] == "failure", "and the check run")
    warnings = str(jobs["publish"].annotations("warning"))
    check("no numbers for Qwen2.5-0.5B" in warnings, f"and has an annotation: {warnings}")


def broken(world):
    """A program that fails: no numbers, no verdict, and both jobs say so."""
    repository = Repository(world, "broken")
    repository.program("0")
    pull, jobs = repository.run()
    check((jobs["measure"].result, jobs["publish"].result) == ("failure", "failure"), "nothing could be measured")
    check(jobs["measure"].outcome == "failure", "the exit code of `ci` counts")


def no_baseline(world):
    for choice, results, warnings in [("pass", "success", 0), ("warn", "success", 1), ("fail", "failure", 1)]:
        repository = Repository(world, f"without-{choice}", days=0)
        pull, jobs = repository.run(measure={"if-no-baseline": "pass"}, publish={"if-no-baseline": choice})
        expect(world, choice, pull, jobs, "no_baseline", [False] * 3, ("success", results),
               "success" if choice != "fail" else "failure", "baseline", warnings=warnings)


def no_baseline_in_the_measuring_job(world):
    repository = Repository(world, "without", days=0)
    _, jobs = repository.run(measure={"if-no-baseline": "fail"})
    check((jobs["measure"].result, jobs["publish"].result) == ("failure", "success"), "the measuring job fails by itself")



def accepted(world):
    """Somebody who may write said why: the gate opens, and the comment says who."""
    repository = Repository(world, "accepted")
    repository.program("50")
    pull, jobs = repository.run(said="bench-accept: exact softmax is worth it")
    check([job.result for job in jobs.values()] == ["success", "success"], f"an accepted regression: {jobs['publish'].log}")
    check(jobs["publish"].outputs["verdict"] == "regressed", "is one all the same")
    check("ada" in world.github.comments(pull)[0] and world.github.check_runs(pull)[0][1] == "success", "and is said")


def inconclusive(world):
    """A machine that is another one every day."""
    repository = Repository(world, "noisy", drift=0.1)
    repository.program("101")
    pull, jobs = repository.run()
    expect(world, "noisy", pull, jobs, "inconclusive", [False, False, True], ("success", "success"), "success", "Can't tell yet: ")


def not_comparable(world):
    repository = Repository(world, "other")
    (repository.path / "bench-diff.toml").write_text(CONFIG + "warmup-length = 3\n")
    pull, jobs = repository.run()
    check(jobs["publish"].outputs["verdict"] == "not_comparable", f"the verdict: {jobs['publish'].outputs}")


def unchanged(world):
    """Two builds that are as fast as each other."""
    repository = Repository(world, "same", days=0)
    (repository.path / "head").rename(repository.path / "base")
    repository.program("100.0")
    pull, jobs = repository.run(measure={"base-binary": "./base"})
    expect(world, "same", pull, jobs, "unchanged", [False] * 3, ("success", "success"), "success", "No change (nothing over ")


SCENARIOS = [accepted, inconclusive, not_comparable, unchanged, unconfirmed,
             regressed, regressed_in_one_job, not_told, improved, missing, broken,
             no_baseline, no_baseline_in_the_measuring_job]
