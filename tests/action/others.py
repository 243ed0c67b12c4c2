"""What else happens between a run and a comment."""

import os
import shutil

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


def told(world, pull, jobs, why, results=("failure", "failure")):
    """Everything says that nothing was measured of this commit, and why."""
    check(tuple(job.result for job in jobs.values()) == results, f"both jobs fail: {jobs['publish'].log[-3000:]}")
    check(jobs["publish"].outputs["verdict"] == "failed", f"the verdict: {jobs['publish'].outputs}")
    check(why in str(jobs["publish"].annotations("error")), f"an annotation says {why}: {jobs['publish'].annotations('error')}")
    check("### ❌ " in jobs["publish"].summary, f"the summary: {jobs['publish'].summary}")
    comments = [comment.replace("\\", "") for comment in world.github.comments(pull)]
    check(len(comments) == 1 and why in comments[0] and "### ❌ " in comments[0],
          f"the comment of an earlier run says {why}: {comments}")
    check(pull["head"]["sha"][:9] in comments[0], f"of this commit: {comments}")
    conclusions = [conclusion for _, conclusion in world.github.check_runs(pull)]
    check("failure" in conclusions, f"a check run: {conclusions}")


def nothing_was_measured(world):
    """The measuring job ended before there was anything: no comment where there was none, else it says so."""
    repository = Repository(world, "nothing")

    def no_program(name, job):
        if name == "measure":
            job["steps"][-1]["with"]["binary-path"] = "/no/bench-diff"
    jobs = repository.run(change=no_program)
    check([job.result for job in jobs.values()] == ["failure", "failure"], "both jobs fail")
    why = "the measuring job uploaded no report as bench-diff"
    check(f"nothing was measured: {why}" in str(jobs["publish"].annotations("error")), "and say why")
    check(world.github.comments(repository.pull) == [], "nobody knows of what: no comment")
    repository.run(run_id=2)
    check("First measurement" in world.github.comments(repository.pull)[0], "a run that measures comments")
    told(world, repository.pull, repository.run(change=no_program, run_id=3), why)

    def dead(name, job):
        if name == "measure":
            # As when the runner died: the steps were never reached.
            job["steps"] = [{"run": "exit 1", "shell": "bash"}]
    repository.run(run_id=4)
    told(world, repository.pull, repository.run(change=dead, run_id=5), why)
    # The artifact is there, and is none.
    repository.run(run_id=6)

    def garbled(name, job):
        if name == "publish":
            for report in world.runner.artifacts.glob("7/**/report.json"):
                report.write_text("{")
    told(world, repository.pull, repository.run(change=garbled, run_id=7), "no report that can be used", ("success", "failure"))


def a_kept_results_folder(world):
    """What an earlier run left in the folder for results, as on a runner that keeps it, is not taken for this one's."""
    repository = Repository(world, "kept")
    repository.run(run_id=1)
    kept = world.runner.artifacts / "1/bench-diff"
    check((kept / "summary.md").exists() or (kept / "report.json").exists(), f"there is something to keep: {list(kept.iterdir())}")
    (repository.path / ".gitignore").write_text(".bench-diff\n")
    shutil.copytree(kept, repository.path / "bench-results")
    (repository.path / "bench-results/summary.md").write_text("### of an earlier run\n")

    def left(run):
        return sorted(path.name for path in world.runner.artifacts.glob(f"{run}/bench-diff/*"))
    (repository.path / "bench-diff.toml").write_text("[[[\n")
    jobs = repository.run(run_id=2)
    told(world, repository.pull, jobs, "the measuring job uploaded no report as bench-diff")
    check(left(2) == [], f"nothing of the earlier run is uploaded: {left(2)}")
    check(jobs["measure"].outputs.get("verdict") == "failed", f"the measuring job says so too: {jobs['measure'].outputs}")


def the_build_fails(world):
    repository = Repository(world, "build")
    repository.run(run_id=1)

    def change(name, job):
        if name == "measure":
            job["steps"][-1]["with"]["build-command"] = "echo compiling; false"
    jobs = repository.run(run_id=2, change=change)
    told(world, repository.pull, jobs, "the build command failed")
    check(jobs["measure"].outputs["verdict"] == "failed", f"the measuring job's verdict: {jobs['measure'].outputs}")
    check("the build command failed" in str(jobs["measure"].annotations("warning")), "and its annotation")


def every_run_fails(world):
    repository = Repository(world, "fails")
    repository.run(run_id=1)

    def change(name, job):
        if name == "measure":
            job["steps"][-1]["with"]["head-binary"] = "/bin/false"
    jobs = repository.run(run_id=2, change=change)
    told(world, repository.pull, jobs, "every run failed")
    check(jobs["measure"].outputs["verdict"] == "failed", f"the measuring job's verdict: {jobs['measure'].outputs}")


def in_a_second_workflow(world):
    """The workflow of docs/action.md that runs after another one."""
    repository = Repository(world, "second")
    repository.run(change=lambda name, job: job.update({"if": "false"}) if name == "publish" else None, run_id=77)
    (repository.path / ".github/workflows/publish.yml").write_text(repositories.shown("docs/action.md", 2))
    run = {
        "id": 77, "event": "pull_request", "conclusion": "success", "head_sha": repository.pull["head"]["sha"],
        "head_branch": "other-second", "head_repository": {"owner": {"login": "acme"}}, "pull_requests": [],
    }
    event = {"action": "completed", "workflow_run": run}
    jobs = world.runner.run("workflow_run", event, repository.path, ".github/workflows/publish.yml", run_id=2)
    check(jobs["publish"].result == "success", f"it ran: {jobs['publish'].log}")
    check(len(world.github.comments(repository.pull)) == 1, "and commented on the pull request that was measured")
    for conclusion in ["skipped", "action_required"]:
        run["conclusion"] = conclusion
        world.runner.run("workflow_run", event, repository.path, ".github/workflows/publish.yml", runs=False)
    for number, conclusion in [(78, "failure"), (79, "cancelled"), (80, "timed_out")]:
        run |= {"id": number, "conclusion": conclusion}
        jobs = world.runner.run("workflow_run", event, repository.path, ".github/workflows/publish.yml", run_id=number + 100)
        told(world, repository.pull, jobs, "the measuring job uploaded no report as bench-diff", ("failure",))
        comment = world.github.comments(repository.pull)[0]
        check(f"run={number} -->" in comment, f"{conclusion}: the comment is of the run that ended so: {comment}")


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


def an_artifact_out_of_reach(world):
    """The publishing job may not ask for the other run's artifacts: that is said, too."""
    repository = Repository(world, "reach")
    repository.run(run_id=87)
    (repository.path / ".github/workflows/publish.yml").write_text(repositories.shown("docs/action.md", 2))
    run = {"id": 88, "event": "pull_request", "conclusion": "success", "head_sha": repository.pull["head"]["sha"],
           "head_branch": "other-reach", "head_repository": {"owner": {"login": "acme"}}, "pull_requests": []}
    jobs = world.runner.run("workflow_run", {"action": "completed", "workflow_run": run}, repository.path,
                            ".github/workflows/publish.yml", run_id=89,
                            change=lambda _, job: job["permissions"].pop("actions"))
    told(world, repository.pull, jobs, "bench-diff could not be downloaded", ("failure",))


SCENARIOS = [another_version, two_runs_one_comment, forks, a_token_that_may_not_write, nothing_was_measured,
             a_kept_results_folder, the_build_fails, every_run_fails, in_a_second_workflow, an_artifact_out_of_reach]
