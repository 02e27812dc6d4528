"""Promises written once and proved in more than one tier: classes whose tests a tier takes in by subclassing them.

A tier says what `place` is (a fresh SQLite file, a fresh Postgres database); the promises are the same.
"""
