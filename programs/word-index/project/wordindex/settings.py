"""Everything that may be tuned. The index holds the same words whatever stands here."""

# Bytes that are read from a document at a time.
READ_BYTES = 512

# How words are found in a text: "regex", "split" or "scan".
TOKENIZER = "regex"

# Stems that are remembered, so that a frequent word is reduced only once.
STEM_CACHE = 128

# Documents that are counted in memory before their words are sorted into a segment.
SEGMENT_DOCUMENTS = 4

# How the segments become one: "pairwise", "heap" or "sort".
MERGE = "heap"

# Words in one block of the index file.
BLOCK_WORDS = 16

# How hard zlib tries, from 0 (not at all) to 9.
COMPRESSION = 6
