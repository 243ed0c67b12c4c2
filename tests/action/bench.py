"""This repository's own workflow: which events start it, and for which commit."""

import repositories
from emulated import REPOSITORY
from workflow import check

CHECKS_THE_ASKER = "Check that who asks may write to the repository"
CHECKS_THE_COMMIT = "Check that it is the commit that was asked for"


class Repository:
    def __init__(self, world, name):
        self.world = world
        self.path = repositories.own(world.scratch / f"own-{name}")
        self.base = repositories.git(self.path, "rev-parse", "HEAD")
        self.head = repositories.commit(self.path, "head")
        self.pull = world.github.pull_request(name, self.head, self.base)

    def run(self, event, payload, runs=True):
        def change(name, job):
            # The program is of the repository that this test belongs to.
            if name == "measure":
                job["steps"][-1]["with"]["allow-unrelated"] = "true"
        return self.world.runner.run(event, payload, self.path, runs=runs, change=change)

    def ask(self, body, login="ada", association="COLLABORATOR", pull_request={"url": "x"}, runs=True):
        """A comment on the pull request."""
        issue = {"number": self.pull["number"]} | ({"pull_request": pull_request} if pull_request else {})
        comment = {"body": body, "author_association": association, "user": {"login": login}}
        return self.run("issue_comment", {"action": "created", "issue": issue, "comment": comment}, runs=runs)

    def checked_out(self, jobs, ref):
        """The pull request with its history where it is measured, the default branch where a token may write."""
        check(f"checked out: ref={ref} depth=0" in jobs["measure"].log, f"measure checks out {ref}: {jobs['measure'].log[-2000:]}")
        check("checked out: ref=main" in jobs["publish"].log, "publish checks out the default branch")

    def refused(self, jobs, why, steps):
        """Nothing of the pull request ran, and nothing was told."""
        check((jobs["measure"].result, jobs["publish"].result) == ("failure", "failure"), f"{why}: refused")
        said = jobs["measure"].annotations("error")
        check(why in str(said), f"the reason is {why}: {said}")
        ran = {step for step in jobs["measure"].steps if step != "Observe"}
        check(ran == steps, f"{why}: nothing else ran: {ran}")
        check(self.world.github.comments(self.pull) == [], f"{why}: and no comment")


def bench_comment(world):
    """`/bench COMMIT` by who may write: the event names only the pull request."""
    repository = Repository(world, "bench")
    world.github.call("PUT", f"{REPOSITORY}/collaborators/mallory", {"permission": "pull"})
    asked = f"/bench {repository.head[:12]}"
    repository.refused(repository.ask(asked, login="mallory"), "mallory may not", {CHECKS_THE_ASKER})
    both = {CHECKS_THE_ASKER, "Check out the pull request", CHECKS_THE_COMMIT}
    repository.refused(repository.ask(f"/bench {repository.base[:12]}"), "is not at", both)
    for body in ["/bench main", "/bench abc123", f"/bench {repository.head} && id"]:
        repository.refused(repository.ask(body), "write the commit that you have read", both)
    for quiet in [
        {"association": "CONTRIBUTOR"}, {"association": "NONE"}, {"pull_request": None}, {"body": f"see {asked}"},
        {"body": f"/benchmark {repository.head}"},
    ]:
        repository.ask(**{"body": asked, **quiet}, runs=False)
    jobs = repository.ask(asked)
    check((jobs["measure"].result, jobs["publish"].result) == ("success", "success"), "who may write is heard")
    check(len(world.github.comments(repository.pull)) == 1, "and leads to a report on the pull request")
    repository.checked_out(jobs, f"refs/pull/{repository.pull['number']}/head")
    check(repository.base in jobs["measure"].log, "GitHub was asked for its base")
    check("--features cuda" in world.runner.cargo_log.read_text(), "it was built for CUDA")


def by_hand(world):
    repository = Repository(world, "hand")
    jobs = repository.run("workflow_dispatch", {"inputs": {"pr-number": str(repository.pull["number"])}})
    check((jobs["measure"].result, jobs["publish"].result) == ("success", "success"), "it can be started by hand")
    check(len(world.github.comments(repository.pull)) == 1, "for a pull request")
    repository.checked_out(jobs, f"refs/pull/{repository.pull['number']}/head")


def opened(world):
    """A branch of the repository itself is measured at once; a fork isn't."""
    repository = Repository(world, "opened")
    pull = repository.pull
    event = {"action": "opened", "number": pull["number"], "pull_request": pull}
    pull["head"]["repo"] = {"full_name": "mallory/candle"}
    repository.run("pull_request", event, runs=False)
    pull["head"]["repo"] = {"full_name": "acme/candle"}
    jobs = repository.run("pull_request", event)
    check((jobs["measure"].result, jobs["publish"].result) == ("success", "success"), "a branch is measured")
    check("target/release/bench-diff (binary-path)" in jobs["measure"].log, "with the bench-diff that was built of it")
    check(len(world.github.comments(pull)) == 1, "and commented on")
    check(len(world.github.check_runs(pull)) == 1, "and has a check run")
    repository.checked_out(jobs, repository.head)


SCENARIOS = [bench_comment, by_hand, opened]
