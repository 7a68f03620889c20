"""Workspaces of trials: staged afresh, entered by agents, verified once they are gone."""
