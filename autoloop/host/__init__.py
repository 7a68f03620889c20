"""The machine that everything runs on: clock, disk, load, standstill, signals, notices.

- `context`: what a process is given from outside: root, environment, signals, where progress goes
- `machine`: clock, free space, load, and keeping the machine awake
- `standstill`: noticing that everything stood still
- `signals`: a first Ctrl-C and a second one
- `notify`: telling people who are away
"""
