"""python3 -m wordindex DOCUMENTS INDEX"""

import sys
from pathlib import Path

from wordindex.reading import documents
from wordindex.segments import entries
from wordindex.storing import store

if len(sys.argv) != 3:
    sys.exit(__doc__)
store(entries(documents(Path(sys.argv[1]))), Path(sys.argv[2]))
