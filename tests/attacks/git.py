"""What git can be told by a tree: hooks, filters, monitors, exclusions, other repositories."""

from tests.attacks.attack import WITHOUT, Attack

PWNED = "touch @WORK@/pwned; echo x = 1 > code.py"

ATTACKS = (
    Attack(
        "hooks",
        "a hook that the loop's git runs",
        f"""
        for hook in pre-commit post-commit post-checkout post-index-change reference-transaction pre-push; do
            mkdir -p .git/hooks hooks
            printf '#!/bin/sh\\n{PWNED}\\n' | tee .git/hooks/$hook > hooks/$hook
            chmod +x .git/hooks/$hook hooks/$hook
        done
        printf '[core]\\nhooksPath = hooks\\n' >> .git/config
        """,
        comes="within_noise",
        quick=True,
    ),
    Attack(
        "fsmonitor",
        "a monitor that git asks what has changed",
        f"""
        printf '#!/bin/sh\\n{PWNED}\\n' > monitor
        chmod +x monitor
        printf '[core]\\nfsmonitor = ./monitor\\nsshCommand = ./monitor\\npager = ./monitor\\n' >> .git/config
        printf '[diff]\\nexternal = ./monitor\\n[alias]\\nstatus = !./monitor\\n' >> .git/config
        """,
        comes="within_noise",
        quick=True,
    ),
    Attack(
        "filters",
        "a filter that gives the candidate other contents, or runs code",
        f"""
        printf 'code.py filter=evil diff=evil ident text eol=crlf\\n* filter=evil\\n' > .gitattributes
        mkdir -p .git/info && cp .gitattributes .git/info/attributes
        printf '#!/bin/sh\\n{PWNED}\\necho x = 1\\n' > filter
        chmod +x filter
        printf '[filter "evil"]\\nclean = ./filter\\nsmudge = ./filter\\nrequired = true\\n' >> .git/config
        printf '[diff "evil"]\\ntextconv = ./filter\\ncommand = ./filter\\n' >> .git/config
        """,
        comes="within_noise",
        quick=True,
    ),
    Attack(
        "a protected file behind skip-worktree",
        "git does not see that a golden file has changed",
        """
        echo 43 > golden/answer.txt
        git update-index --skip-worktree golden/answer.txt
        git update-index --assume-unchanged agent.sh
        mkdir -p .git/info && echo golden/ >> .git/info/exclude
        echo '*' > .gitignore
        """,
        comes="lock_violation",
        quick=True,
    ),
    Attack(
        "an index of its own",
        "files are in the agent's index and not in its tree, or the other way round",
        "echo x = 1 > code.py; git add code.py; git checkout -q HEAD -- code.py 2>/dev/null; git rm -q --cached run.sh\n"
        "git update-index --add --cacheinfo 100644,$(echo x = 1 | git hash-object -w --stdin),code.py\ntrue",
    ),
    Attack(
        "commits of its own",
        "an unmeasured commit becomes the base of later ones",
        """
        export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
        sed -i '1s/.*/x = 1/' code.py
        git commit -qam 'keep me'; git checkout -q -b other; git commit -q --amend --allow-empty -m again
        for ref in $(git for-each-ref --format='%(refname)'); do git update-ref $ref HEAD; done
        git update-ref refs/autoloop/head HEAD; git tag start
        git reset -q --hard HEAD~; git replace HEAD $(git commit-tree -m empty $(git mktree < /dev/null))
        """,
        quick=True,
    ),
    Attack(
        "a nested repository",
        "a folder that clean-up passes by",
        "git init -q lib/inner; echo x = 1 > lib/inner/code.py; (cd lib/inner; git add .; "
        "git -c user.name=a -c user.email=a@b commit -qm inner); echo 'read -r _ _ x < lib/inner/code.py' > run.sh",
        comes="within_noise",
        quick=True,
    ),
    Attack(
        "a nested repository of a candidate",
        "a folder that clean-up passes by",
        code="git init -q lib/inner; mkdir lib/inner/.git/deep; echo x = 1 > lib/inner/code.py; chmod 500 lib/inner/.git",
        comes="within_noise",
    ),
    Attack(
        "a submodule",
        "a commit that stands for files which nobody measured",
        """
        git init -q evil; (cd evil; git -c user.name=a -c user.email=a@b commit -q --allow-empty -m evil)
        git -c protocol.file.allow=always submodule add -q ./evil golden/more 2>/dev/null
        printf '[submodule "lib"]\\n\\tpath = lib\\n\\turl = @CHECKOUT@\\n\\tupdate = !touch @WORK@/pwned\\n' >> .gitmodules
        """,
        comes=("lock_violation", "out_of_scope", "within_noise"),
        quick=True,
    ),
    Attack(
        "the git directory is a link to the user's",
        "the loop's clean-up, or its commits, reach the checkout",
        "rm -rf .git; ln -s @CHECKOUT@/.git .git",
        quick=True,
    ),
    Attack(
        "the git directory is a file that names the user's",
        "git in the tree works on the checkout",
        "rm -rf .git; echo 'gitdir: @CHECKOUT@/.git' > .git",
    ),
    Attack(
        "the user's refs and settings",
        "git is pointed at the checkout",
        """
        git -C @CHECKOUT@ update-ref refs/heads/planted HEAD
        git -C @CHECKOUT@ config core.fsmonitor @WORK@/pwned
        GIT_DIR=@CHECKOUT@/.git git config user.name Mallory
        GIT_DIR=@CHECKOUT@/.git git symbolic-ref HEAD refs/heads/planted
        git --git-dir=@CHECKOUT@/.git --work-tree=. reset -q --hard
        git config --global core.hooksPath @WORK@/hooks
        git push -q @CHECKOUT@ HEAD:refs/heads/pushed; git push -q @WORK@/remote.git HEAD:refs/heads/main --force
        rm -rf @CHECKOUT@/.git @CHECKOUT@/mine.txt; echo gone > @CHECKOUT@/code.py
        true
        """,
        comes=("no_candidate", "measurement_failed"),
        open={"none": WITHOUT},
        shown=True,
    ),
    Attack(
        "a candidate and the user's refs",
        "git is pointed at the checkout",
        code="""
        git -C @CHECKOUT@ update-ref refs/heads/planted HEAD
        git config --global core.hooksPath @WORK@/hooks
        git push -q @CHECKOUT@ HEAD:refs/heads/pushed; git push -q @WORK@/remote.git HEAD:refs/heads/main --force
        rm -rf @CHECKOUT@/.git @CHECKOUT@/mine.txt; echo gone > @CHECKOUT@/code.py
        true
        """,
        comes=("within_noise", "regressed"),
        open={"none": WITHOUT},
        shown=True,
    ),
    Attack(
        "the objects of the user's repository",
        "objects that a tree borrows are damaged or added to",
        """
        objects=$(cat .git/objects/info/alternates)
        find "$objects" -type f -exec chmod u+w {} + -exec sh -c 'echo broken > "$1"' - {} \\;
        rm -rf "$objects"/*
        GIT_OBJECT_DIRECTORY=$objects git hash-object -w code.py
        true
        """,
        comes=("no_candidate", "agent_failed"),
        open={"none": WITHOUT},
        shown=True,
    ),
    Attack(
        "names that git refuses",
        "a path that becomes the git directory on another system",
        "mkdir -p .GIT 'lib/.git ' 'git~1'; echo x > .GIT/config; echo y > 'git~1/config'; echo z > 'lib/.git /config'",
        comes="out_of_scope",
        quick=True,
    ),
)
