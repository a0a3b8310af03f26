"""Other simulators, each measured as a process of its own in an environment of its own.

What the peers share (`workload`, `result`, `memory`) needs NumPy alone, since their environments
have little else in common.
"""
