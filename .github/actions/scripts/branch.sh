# shellcheck shell=bash
# Sourced by the scripts that push a branch. Needs GH_TOKEN.
as_the_bot() {
  git config user.name 'github-actions[bot]'
  git config user.email '41898282+github-actions[bot]@users.noreply.github.com'
  gh auth setup-git
}

# has_pull_request BRANCH: is one open?
has_pull_request() {
  [[ "$(gh pr list --head "$1" --state open --json number --jq length)" != 0 ]]
}

# propose BRANCH BASE TITLE BODY: opens a pull request, unless there is one.
propose() {
  has_pull_request "$1" || gh pr create --head "$1" --base "$2" --title "$3" --body "$4"
}
