"""Failure drills: every fault that callers must survive, injected for real into a world with live calls."""
