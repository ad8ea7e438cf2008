"""Whether the service works, and what is told of it: canary, maintenance, incidents, status page.

reading.py and canary.minutes() are what others read; announcing.py is the only writer of what staff enter; status.py
judges the rows, and publishing.py and rendering.py make pages and files of it.
"""
