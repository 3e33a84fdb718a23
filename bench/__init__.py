"""Measures the cost of a check and of other programs that do the same work; run by `make bench`.

Guarantees: every program is measured at the same loads, which the bench creates in its own namespaces. Each
program runs in a new process, in both orders. CPU time is compared. A program with a wrong count is marked.
Nothing is left after a run.
"""
