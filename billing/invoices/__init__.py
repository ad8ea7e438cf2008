"""Invoices: drafts out of terms and usage, issued documents with gapless numbers, what is paid, and what is owed.

Pure: document, taxes, periods, composing. Into the database write numbering (called by issuing alone), issuing,
drafting, ledger, payments and profiles. Others read through reading.
"""
