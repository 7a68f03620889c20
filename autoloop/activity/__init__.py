"""What goes on here, of both products: the only code below `api` that knows runs and benches at once.

- `find`: following the run or the bench that a path or a name means
- `overview`: programs, runs and benches of a repository, and which of them is in progress
"""
