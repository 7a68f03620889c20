"""What `validate` concludes: how stable a metric is, what a night can resolve, which settings fit."""
