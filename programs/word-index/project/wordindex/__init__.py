"""An index of words: in which documents each one occurs, and how often."""
