"""What keeps agents and measurements in their cells: tiers of sandboxes, and the choice among them.

- `choose`: the best tier that passes a trial on this machine
- `bwrap`: bubblewrap, namespaces for each command
- `landlock`: rules in the kernel, without a program or rights
- `none`: no confinement
- `places`: what a command finds of this machine
- `rootfs`: a root put together from the machine's parts
- `permissions`: what a field of the program allows, one by one
- `loopback`: one network for a run's services and samples
- `restrict`: starts a command under Landlock; run by its path
"""
