"""Index every paragraph of the manual in docs/source, then search it: python3 worker.py INDEX [RESULTS]

Run in the root of the repository. RESULTS receives what the searches found, for checks.sh.
"""

import json
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")  # the release is from 2016
sys.path.insert(0, str(Path("src").resolve()))

from whoosh import analysis, fields, index, qparser  # noqa: E402

QUERIES = [
    "index", "search results", "field AND query", '"custom analyzer"', "wri*", "NOT index", "s?arch*",
    "term OR document OR parser", "stem~", "query -parser", "[sorting TO spelling]", "title:the", '"of the"~3',
]  # fmt: skip
ROUNDS = 3
MANUAL = Path("docs/source")

schema = fields.Schema(
    path=fields.ID(stored=True, unique=True),
    body=fields.TEXT(analyzer=analysis.StemmingAnalyzer(), stored=True),
)
directory = Path(sys.argv[1])
directory.mkdir()
made = index.create_in(str(directory), schema)
writer = made.writer()
for file in sorted(MANUAL.rglob("*.rst")):
    for number, paragraph in enumerate(file.read_text(encoding="utf-8").split("\n\n")):
        if paragraph.strip():
            writer.add_document(path=f"{file.relative_to(MANUAL)}#{number}", body=paragraph)
writer.commit()

found = {}
parser = qparser.QueryParser("body", made.schema)
with made.searcher() as searcher:
    for _ in range(ROUNDS):
        for query in QUERIES:
            hits = searcher.search(parser.parse(query), limit=20)
            found[query] = [len(hits), [[hit["path"], f"{hit.score:.6g}"] for hit in hits]]

if len(sys.argv) > 2:
    Path(sys.argv[2]).write_text(json.dumps(found, indent=0) + "\n")
