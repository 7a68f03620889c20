"""The user's repository, and the git directory and trees that a run owns.

The user's repository:
- `root`: where its work tree begins, found without a process
- `repository`: what it is; only read
- `opening`: what a run must know of it before it begins
- `refs`: the refs of a run, the only thing changed there
- `history`: log, diff and branches as people are shown them
- `objects`: the objects of candidates, with a second home

The run's own:
- `command`: starting git with nothing inherited
- `gitdirs`: the git directory of the run, and the small `.git` of each tree
- `homes`: whose each directory in the cache is
- `git_trees`: the agent's tree, and the slots a and b
- `contents`: what a commit puts into a tree
- `walk`: what lies in a tree beside that
- `inspection`: what an agent left
- `commits`: a candidate made of it
- `caches`: what later trees find in `cache_paths`
- `disk`: how much a folder takes, and freeing it
"""
