"""Reports: one page and one Markdown text of a run or a bench."""
