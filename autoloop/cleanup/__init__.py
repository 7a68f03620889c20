"""What runs and benches hold on the disk, and removing it.

- `survey`: what is there, how large it is and whose it is; changes nothing
- `remove`: removing what was asked for
"""
