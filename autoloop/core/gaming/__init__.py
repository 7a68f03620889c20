"""Signs that a candidate games its measurement, read from its diff.

- `inspect`: a captured tree as the journal has it: the candidate, and breaches of its scope
- `signs`: what moves the number instead of the code
- `words`: words of several languages that give it away
- `patches`: a diff, file by file
"""
