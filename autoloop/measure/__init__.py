"""Taking samples: the sealed program, its scripts in their cells, the canary, the sampler.

- `sampler`: takes one sample: place, prepare, check, build, warm up, measure
- `guarded`: the same, looking after trees that vanish and files that were tampered with
- `scripts`: what scripts are told, and what they print
- `cell`: running one in the sandbox
- `seal`: the measurement files as they were when the run began
- `canary`: does the measurement look at the tree at all?
- `prepare`: what happens once per tree: room on the disk, `prepare.sh`, `services.sh`
"""
