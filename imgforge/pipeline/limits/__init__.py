"""Limits on the work under way: fetches and renders at once, and bytes of originals in memory."""

from imgforge.pipeline.limits.admission import Admission
from imgforge.pipeline.limits.memory_budget import BudgetLease, MemoryBudget, Reservation

__all__ = ["Admission", "BudgetLease", "MemoryBudget", "Reservation"]
