"""What else happens between a run and a comment."""

import os

import repositories
from emulated import REPOSITORY
from workflow import check


class Repository:
    def __init__(self, world, name):
        self.world = world
        self.path = repositories.user(world.scratch / f"other-{name}")
        self.base = repositories.commit(self.path, "base")
        self.pull = world.github.pull_request(f"other-{name}", repositories.commit(self.path, "head"), self.base)
        self.pull["head"]["repo"] = {"full_name": "acme/candle"}

    def run(self, **options):
        event = {"action": "opened", "number": self.pull["number"], "pull_request": self.pull}
        return self.world.runner.run("pull_request", event, self.path, **options)


def two_runs_one_comment(world):
    """With the workflow of docs/action.md. A planted comment is left alone."""
    repository = Repository(world, "two")
    world.github.comment(repository.pull, "<!-- bench-diff suite=tiny gpu=x run=1 -->\nplanted", "mallory-token")
    for run in (1, 2):
        def change(name, job):
            if name == "publish":
                # Another job's artifact is none of its business.
                other = world.runner.artifacts / str(run) / "other"
                other.mkdir()
                (other / "report.json").write_text("not a report")
        jobs = repository.run(run_id=run, change=change)
        check([job.result for job in jobs.values()] == ["success", "success"], f"run {run}: {jobs['publish'].log}")
        check(jobs["publish"].outputs["verdict"] == "no_baseline", f"the verdict: {jobs['publish'].outputs}")
        check(len(world.github.comments(repository.pull)) == 1, f"run {run} makes one comment")


def forks(world):
    """A fork's code doesn't run."""
    repository = Repository(world, "fork")
    repository.pull["head"]["repo"] = {"full_name": "mallory/candle"}
    repository.run(runs=False)


def a_token_that_may_not_write(world):
    """As that of a pull request by Dependabot: told in the log, and no failure."""
    repository = Repository(world, "denied")

    def change(name, job):
        if name == "publish":
            job["permissions"] = {"contents": "read"}
    jobs = repository.run(change=change)
    check(jobs["publish"].result == "success", "a comment that can't be posted is no failure")
    check(world.github.comments(repository.pull) == [], "it isn't there")
    check("comment was not posted" in str(jobs["publish"].annotations("warning")), "and the step says so")
    check("baseline" in jobs["publish"].summary, "the summary has it")


def nothing_was_measured(world):
    """The measuring job ended before there was anything: no comment, and the gate is shut."""
    repository = Repository(world, "nothing")

    def change(name, job):
        if name == "measure":
            job["steps"][-1]["with"]["binary-path"] = "/no/bench-diff"
    jobs = repository.run(change=change)
    check([job.result for job in jobs.values()] == ["failure", "failure"], "both jobs fail")
    errors = str(jobs["publish"].annotations("error"))
    check("nothing was measured: the measuring job uploaded no report as bench-diff" in errors, f"and says why: {errors}")


def in_a_second_workflow(world):
    """The workflow of docs/action.md that runs after another one."""
    repository = Repository(world, "second")
    repository.run(change=lambda name, job: job.update({"if": "false"}) if name == "publish" else None, run_id=77)
    (repository.path / ".github/workflows/publish.yml").write_text(repositories.shown("docs/action.md", 1))
    run = {
        "id": 77, "event": "pull_request", "conclusion": "success", "head_sha": repository.pull["head"]["sha"],
        "head_branch": "other-second", "head_repository": {"owner": {"login": "acme"}}, "pull_requests": [],
    }
    event = {"action": "completed", "workflow_run": run}
    jobs = world.runner.run("workflow_run", event, repository.path, ".github/workflows/publish.yml", run_id=2)
    check(jobs["publish"].result == "success", f"it ran: {jobs['publish'].log}")
    check(len(world.github.comments(repository.pull)) == 1, "and commented on the pull request that was measured")
    run["conclusion"] = "cancelled"
    world.runner.run("workflow_run", event, repository.path, ".github/workflows/publish.yml", runs=False)


def another_version(world):
    """It is looked for in the release of the Action's repository, and nothing else is taken in its place."""
    repository = Repository(world, "version")
    sums = world.runner.action / ".github/actions/scripts/checksums.txt"
    before = sums.read_text()
    name = f"bench-diff-9.9.9-{os.uname().machine}-linux"
    targets = ["", *(f"-sm{capability}" for capability in range(50, 130))]
    sums.write_text("".join(f"{'0' * 64}  {name}{target}.tar.gz\n" for target in targets))
    jobs = repository.run(change=lambda _, job: job["steps"][-1]["with"].update({"version": "9.9.9", "build": "never"}))
    sums.write_text(before)
    asked = (world.scratch / "downloads").read_text().splitlines()
    for address, job in zip(asked, jobs.values(), strict=True):
        check(address.startswith(f"https://github.com/acme/bench-diff/releases/download/v9.9.9/{name}"), address)
        check("no bench-diff 9.9.9 here" in str(job.annotations("error")), f"it is refused: {job.annotations('error')}")


SCENARIOS = [another_version, two_runs_one_comment, forks, a_token_that_may_not_write, nothing_was_measured, in_a_second_workflow]
