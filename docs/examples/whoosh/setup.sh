#!/usr/bin/env bash
# Fetch Whoosh 2.7.4 from PyPI and make a repository of it, with the program and the agent of this example.
#   bash setup.sh DIRECTORY        then: cd DIRECTORY/whoosh
# Needs python3 with pip, git, and pytest for the package's own tests.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
[ $# -eq 1 ] || { echo "usage: bash setup.sh DIRECTORY" >&2; exit 2; }
mkdir "$1"
cd "$1"

python3 -m pip download --quiet --no-binary :all: --no-deps Whoosh==2.7.4
echo "e0857375f63e9041e03fedd5b7541f97cf78917ac1b6b06c1fcc9b45375dda69  Whoosh-2.7.4.zip" | sha256sum --check --quiet
python3 -m zipfile --extract Whoosh-2.7.4.zip .
mv Whoosh-2.7.4 whoosh
cp -R "$here/agent" agent

cd whoosh
mkdir programs
cp -R "$here/program" programs/index-docs
printf '__pycache__/\n' > .gitignore
printf '[profiles.patches]\nagent = "command"\ncommand = "sh \x27%s/agent.sh\x27"\n' "$(cd ../agent && pwd)" > autoloop.toml

git init --quiet --initial-branch main
git add --all
git -c user.name=example -c user.email=example@localhost commit --quiet --message "Whoosh 2.7.4 as released, and a program that measures it"
echo "ready: cd $1/whoosh"
