"""What an answer means: verdicts, the tables of answers, and the judge that looks them up. Pure."""
