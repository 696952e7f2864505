# A repository with one commit.
git init -q r && cd r && echo x >f && git add f &&
    git -c user.name=x -c user.email=x@y commit -qm x && git log -1 >/dev/null
true
