"""Worker processes: started, spoken to in lines of JSON, replaced when they die."""

from autoloop.workers.pool import Pool

__all__ = ["Pool"]
