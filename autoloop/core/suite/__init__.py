"""Suites as values: tasks, trials, the plan of a bench, its events, and what they add up to.

What a bench is made of:
- `tasks`: a task, and the order for one trial of it
- `plan`: which trials there are, and in which order
- `events`: the lines of its `journal.jsonl`
- `state`: the fold of its events, a frozen value
- `persistent`: collections of which every version stays as it was
- `grading`: from a verifier's files to a reward and an outcome
- `pausing`: what to do about an arm whose service fails
- `stopping`: when a bench ends, and when a worker is stuck
- `reuse`: when one result stands for another
- `suite_check`: what a suite says of itself

What came of it:
- `tally`: counts, pass rate, time and cost of some trials
- `summary`: a bench in one look
- `summary_text`: the same as a page of Markdown
- `episode`: a line of `episodes.jsonl`
- `contrast`: two arms, episodes or nights against each other
- `nights`: trends and alerts
- `failures`: how and where trials fail
- `advice`: what would lift a pass rate, and what a question costs
"""
