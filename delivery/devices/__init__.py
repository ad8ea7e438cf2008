"""The devices that pushes name, taken out of the log and the receipts: what became of each, and how many were reached.

Everything in these tables is the latest or earliest of its kind, or a set: absorbing a row twice changes nothing, in
whatever order rows come. So a killed task is simply run again, and a day that is counted anew out of the log says the
same.
"""
