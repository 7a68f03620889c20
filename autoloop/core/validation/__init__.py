"""What `validate` concludes: how stable a metric is, what a night can resolve, which settings fit.

- `stability`: how a measurement of unchanged code varies
- `outlook`: what it resolves, and what a night costs
- `settings`: which settings fit
- `findings`: all of it in sentences, and as numbers for programs
- `bisect`: which of many things is in the way
"""
