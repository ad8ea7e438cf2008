"""Pages that belong to no single app: the front page, a customer's home, navigation, and the staff's admin site."""
