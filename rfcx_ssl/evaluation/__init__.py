"""Judging trained models on recordings, completely or partly known: what is true, scores, groups, floors, intervals."""
