"""What a check costs, beside everything else that can do the same work: `make bench`.

Laws: every contender meets the same load, which the bench builds itself in namespaces of its own; each
runs in a fresh process, in both orders; CPU is what is compared; a contender whose count is wrong is
marked. Nothing outlives a run.
"""
