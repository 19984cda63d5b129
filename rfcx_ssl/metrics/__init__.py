"""Metrics as pure numpy functions of truth (R, S) and scores (R, S); "unknown" is a mask, never a magic value."""

from rfcx_ssl.metrics.bootstrap import Interval, bootstrap_draws, bootstrap_interval, interval_of
from rfcx_ssl.metrics.f1 import F1, BestF1, Decisions, Segments, best_f1, decisions, f1_score, pool_segments
from rfcx_ssl.metrics.floors import prior_floor, random_average_precision, random_floor
from rfcx_ssl.metrics.partial import columns_with_both, partial_auc, partial_lwlrap, partial_precision, rows_with_both
from rfcx_ssl.metrics.precision import AveragePrecision, PrecisionRecall, average_precision, precision_recall
from rfcx_ssl.metrics.prevalence import PrevalenceEstimate, estimate_prevalence
from rfcx_ssl.metrics.prior import match_prevalence, matching_shift, prior_scale, prior_shift
from rfcx_ssl.metrics.ranking import Lwlrap, lwlrap
from rfcx_ssl.metrics.roc import RocAuc, roc_auc

__all__ = [
    "F1",
    "AveragePrecision",
    "BestF1",
    "Decisions",
    "Interval",
    "Lwlrap",
    "PrecisionRecall",
    "PrevalenceEstimate",
    "RocAuc",
    "Segments",
    "average_precision",
    "best_f1",
    "bootstrap_draws",
    "bootstrap_interval",
    "columns_with_both",
    "decisions",
    "estimate_prevalence",
    "f1_score",
    "interval_of",
    "lwlrap",
    "match_prevalence",
    "matching_shift",
    "partial_auc",
    "partial_lwlrap",
    "partial_precision",
    "pool_segments",
    "precision_recall",
    "prior_floor",
    "prior_scale",
    "prior_shift",
    "random_average_precision",
    "random_floor",
    "roc_auc",
    "rows_with_both",
]
