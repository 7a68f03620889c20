"""Reports: one page and one Markdown text, made of values. Reads no run and writes no file; `api` does both."""
