"""The machine that everything runs on: clock, disk, load, standstill, signals, notices."""
