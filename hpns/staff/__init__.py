"""What the staff's first page is made of: what needs somebody today, one search for all, and the order of the lists."""
