"""The journal: durable events, read on while another process writes, and the locks beside it.

- `journal`: one event a line, on the disk before the next step begins
- `tail`: reading a journal that is growing
- `files`: files written whole or not at all
- `locks`: who holds a lock, and holding one
"""
