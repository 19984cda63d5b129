"""Metrics as pure numpy functions of truth (R, S) and scores (R, S); "unknown" is a mask, never a magic value."""

from rfcx_ssl.metrics.bootstrap import Interval, bootstrap_interval
from rfcx_ssl.metrics.floors import prior_floor, random_average_precision, random_floor
from rfcx_ssl.metrics.precision import AveragePrecision, average_precision
from rfcx_ssl.metrics.prior import prior_scale
from rfcx_ssl.metrics.ranking import Lwlrap, lwlrap
from rfcx_ssl.metrics.roc import RocAuc, roc_auc

__all__ = [
    "AveragePrecision",
    "Interval",
    "Lwlrap",
    "RocAuc",
    "average_precision",
    "bootstrap_interval",
    "lwlrap",
    "prior_floor",
    "prior_scale",
    "random_average_precision",
    "random_floor",
    "roc_auc",
]
