# Refuse code that leads out of ./code by a symbolic link: docker reads the folder of the context,
# the Dockerfile and .dockerignore wherever a link leads, such as to the build's own credentials.
# $1 is the context. $2 is the Dockerfile, if the code names one. Otherwise $2 is empty, and $3 is the
# folder in which W&B's agent looks for a Dockerfile.wandb: ./context becomes a link to that folder,
# or to this one, which has ours.
set -euo pipefail

root=$(pwd -P)/code

refuse() {
  printf 'The code of this job cannot be built: %s\n' "$1" >&2
  exit 1
}

stays() { # refuse a path whose real path is outside of the code
  local real
  IFS= read -r -d '' real < <(realpath -mz -- "$1") || refuse "$(printf '%q' "$1") leads nowhere."
  [[ $real == "$root" || $real == "$root"/* ]] ||
    refuse "$(printf '%q is a link to %q, outside of the code. Remove it.' "$1" "$real")"
}

stays code
stays "$1"
[[ -d $1 ]] || refuse "$(printf 'it has no folder %q, the build context.' "$1")"
if [[ -n $2 ]]; then
  stays "$2"
  stays "$2.dockerignore"
  [[ -f $2 ]] || refuse "$(printf 'it has no file %q, the Dockerfile.' "$2")"
fi
while IFS= read -r -d '' link; do
  stays "$link"
done < <(find "$1/" -type l -print0)

if [[ -z $2 ]]; then
  stays "$3"
  if [[ -f $3/Dockerfile.wandb ]]; then
    printf 'Dockerfile.wandb in %s\n' "$3" | tee "${BUILDER_OUTPUT:-/tmp}/output"
    ln -s "$3" context
  else
    ln -s . context
  fi
fi
