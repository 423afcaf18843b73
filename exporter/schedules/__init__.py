"""Recurring exports: a request for an export, and when to make it."""
