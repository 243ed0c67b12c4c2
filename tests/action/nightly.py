"""The default branch, measured every night: sessions become a baseline, in a pull request."""

import json
import shutil

import repositories
from workflow import check

BRANCH = "bench-diff-baselines"


class Nights:
    """A repository with an origin to push to, and the nightly workflow."""

    def __init__(self, world, name, path):
        self.world, self.path = world, path
        self.origin = world.scratch / f"{name}.git"
        repositories.git(world.scratch, "init", "--quiet", "--bare", "--initial-branch", "main", str(self.origin))
        repositories.git(path, "remote", "set-url", "origin", str(self.origin))
        repositories.git(path, "push", "--quiet", "origin", "main")

    def night(self, run_id, event="schedule", inputs=None, change=None, results=("success", "success")):
        jobs = self.world.runner.run(event, {"inputs": inputs} if inputs else {}, self.path,
                                     ".github/workflows/nightly.yml", change=change, run_id=run_id)
        check(tuple(job.result for job in jobs.values()) == results,
              f"night {run_id}: {[(name, job.result, job.log[-2000:]) for name, job in jobs.items()]}")
        return jobs

    def sessions(self):
        """How many the proposed baseline has."""
        files = repositories.git(self.origin, "ls-tree", "-r", "--name-only", BRANCH, "baselines").split()
        check(len(files) == 1 and files[0].startswith("baselines/tiny/"), f"one baseline: {files}")
        return len(json.loads(repositories.git(self.origin, "show", f"{BRANCH}:{files[0]}"))["sessions"])

    def proposals(self):
        pulls = self.world.github.call("GET", "/repos/acme/candle/pulls?state=open")
        return [pull["number"] for pull in pulls if pull["head"]["ref"] == BRANCH]

    def commit_faster(self):
        """The main branch gets a baseline of five days in which everything was a hundred times as fast."""
        file = repositories.git(self.origin, "ls-tree", "-r", "--name-only", BRANCH, "baselines").strip()
        baseline = json.loads(repositories.git(self.origin, "show", f"{BRANCH}:{file}"))
        session = baseline["sessions"][0]
        baseline["sessions"] = []
        for day in range(1, 6):
            copy = json.loads(json.dumps(session))
            copy |= {"id": f"day-{day}", "started": f"2026-01-0{day}T02:00:00Z", "finished": f"2026-01-0{day}T02:10:00Z"}
            for run in copy["runs"]:
                factors = {"decode_throughput": 100, "peak_memory": 1}
                run["metrics"] = {name: value * factors.get(name, 0.01) * (1 + day * 1e-4)
                                  for name, value in run["metrics"].items()}
            baseline["sessions"].append(copy)
        (self.path / file).parent.mkdir(parents=True, exist_ok=True)
        (self.path / file).write_text(json.dumps(baseline))
        repositories.commit(self.path, "faster")
        repositories.git(self.path, "push", "--quiet", "origin", "main")

    def close(self):
        for number in self.proposals():
            self.world.github.call("PATCH", f"/repos/acme/candle/pulls/{number}", {"state": "closed"})


def own(world):
    """Nights add to one pull request; after it was merged or closed there is a new one."""
    nights = Nights(world, "nights", repositories.own(world.scratch / "nights"))
    jobs = nights.night(1)
    check((nights.sessions(), len(nights.proposals())) == (1, 1), "the first night proposes a baseline")
    for name, job in jobs.items():
        check("checked out: ref=main" in job.log, f"{name} takes the default branch, wherever it was started by hand")
    nights.night(2)
    check((nights.sessions(), len(nights.proposals())) == (2, 1), "the second adds a session to it")

    # The second job is run again alone, with the artifact that is there.
    artifacts, before = world.runner.artifacts, repositories.git(nights.origin, "rev-parse", BRANCH)
    shutil.copytree(artifacts / "2", artifacts / "kept")

    def again(name, job):
        job["if"] = "false" if name == "measure" else "always()"
        if name == "propose":
            shutil.copytree(artifacts / "kept", artifacts / "2")
    nights.night(2, change=again, results=("skipped", "success"))
    check(repositories.git(nights.origin, "rev-parse", BRANCH) == before, "a session is added once")

    nights.night(3, "workflow_dispatch", {"replace": "true"})
    check(nights.sessions() == 1, "by hand it starts anew")
    nights.close()
    nights.night(4)
    check((nights.sessions(), len(nights.proposals())) == (1, 1), "what was closed is not taken up again")

    def broken(name, job):
        if name == "measure":
            job["steps"][-1]["with"]["suite"] = "none"
    nights.night(5, change=broken, results=("failure", "skipped"))
    nights.commit_faster()
    nights.close()
    night = nights.night(6)
    check("The same program on both sides" in night["measure"].log, "what differs from the days before is the machine's")
    check((nights.sessions(), len(nights.proposals())) == (6, 1), "a session of a slower night belongs to the history, too")
    nights.close()


def documented(world):
    """The workflow that docs/action.md shows."""
    path = repositories.user(world.scratch / "documented-nights")
    (path / ".github/workflows/nightly.yml").write_text(repositories.shown("docs/action.md", 1))
    repositories.commit(path, "nightly")
    nights = Nights(world, "documented", path)

    def beside_another(name, job):
        artifacts = world.runner.artifacts / "1"
        if name == "propose":
            shutil.copytree(artifacts / "bench-diff", artifacts / "other")
            for results in artifacts.glob("other/**/results.json"):
                results.write_text(results.read_text().replace('"id": "', '"id": "other-'))
    nights.night(1, change=beside_another)
    check((nights.sessions(), len(nights.proposals())) == (1, 1), "it proposes a baseline, of its own artifact alone")
    nights.close()


SCENARIOS = [own, documented]
