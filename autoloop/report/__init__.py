"""Reports: one page and one Markdown text of a run or a bench.

- `read`: gathers what a report needs, and writes the file
- `run`, `bench`: the two reports
- `run_material`, `bench_material`: what they are made of
- `run_text`, `bench_text`: what they say in sentences
- `run_plots`, `bench_plots`: their plots
- `plots`: how every plot looks
- `chronicle`: what the journal says of each experiment
- `excerpts`: how much of a long text goes into a page
- `rendering`: templates, for HTML and Markdown
"""
