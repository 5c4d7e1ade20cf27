# Fetch a repository into ./code: $1 is its https address, $2 the commit. Further arguments are the
# hosts for which the operator has named a secret; the variable GIT_LOGIN_N has the secret of the
# Nth host: USER:PASSWORD or a token.
#
# The step that runs this is the only one with the secrets. The author of the repository decides
# nothing here: git reads no configuration but the one below, uses no protocol but https (also for
# submodules and redirections), and runs no hook.
set -euo pipefail

HOME=$(mktemp -d) # of this container; later steps do not see it
export HOME GIT_CONFIG_NOSYSTEM=1 GIT_ATTR_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 GIT_ALLOW_PROTOCOL=https

git() {
  command git -c core.hooksPath=/dev/null -c core.fsmonitor=false "$@"
}

remote=$1 commit=$2
shift 2
number=0
for host in "$@"; do
  number=$((number + 1))
  name=GIT_LOGIN_$number
  [[ ${!name} == *:* ]] || printf -v "$name" '%s' "git:${!name}" # servers ignore a token's user
  export "${name?}"
  # git asks this helper for exactly https://HOST, and for no server to which HOST redirects
  helper='!login() { [ "$1" != get ] || printf "username=%s\npassword=%s\n" '
  helper+="\"\${$name%%:*}\" \"\${$name#*:}\"; }; login"
  git config --global "credential.https://$host.helper" "$helper"
  for ssh in "git@${host%%:*}:" "ssh://git@${host%%:*}/"; do # submodules often name it so
    git config --global --add "url.https://$host/.insteadOf" "$ssh"
  done
done

git clone --quiet --no-checkout --template= -- "$remote" code
cd code
git checkout --quiet "$commit" --
git submodule --quiet update --init --recursive

# The rest does what shared/runspec/container/patch.py does without a build.
apply() { # with these options; a patch without the content of its binary files changes the others
  git apply "$@" ../diff.patch && return
  local added path name excluded=() left=()
  while IFS=$'\t' read -r -d '' added _ path; do
    [[ $added == - ]] || continue
    left+=("$path")
    name=$(sed 's/[][*?\\]/\\&/g' <<<"$path")
    excluded+=("--exclude=$name")
  done < <(git apply "$@" --numstat -z ../diff.patch)
  [[ ${#left[@]} -gt 0 ]] && git apply "$@" "${excluded[@]}" ../diff.patch || return
  local more='' warning='Unchanged, because diff.patch has no binary content:'
  printf -v path ', %s' "${left[@]}"
  echo "$warning ${path:2}."
  [[ ${#left[@]} -le 12 ]] || more=", and $((${#left[@]} - 12)) more"
  printf -v path ', %s' "${left[@]:0:12}"
  echo "$warning ${path:2}$more." >"${BUILDER_OUTPUT:-/tmp}/output"
}

escape=$'\e'
if [[ -f ../diff.patch ]] && grep -q "^$escape\[[0-9;]*mdiff --git" ../diff.patch; then
  sed -i "s/$escape\[[0-9;]*[mK]//g" ../diff.patch # git's setting color.diff=always
fi
if [[ -f ../diff.patch ]] && grep -qE '^(diff --git|--- )' ../diff.patch; then
  if grep -q $'^diff --git .*\r$' ../diff.patch; then # its writer ended each line as Windows does
    sed -i 's/\r$//' ../diff.patch
  fi
  strip=-p1
  if grep -q '^diff --git' ../diff.patch && ! grep -qE '^diff --git "?[abciow]/.* "?[abciow]/' ../diff.patch; then
    strip=-p0 # git's setting diff.noprefix
  fi
  apply $strip
elif [[ -f ../diff.patch ]] && grep -qvE '^(Submodule |\* Unmerged path |  [<>] |[[:space:]]*$)' ../diff.patch; then
  tee "${BUILDER_OUTPUT:-/tmp}/output" <<<"diff.patch is no output of git diff: the code runs without its changes."
fi
